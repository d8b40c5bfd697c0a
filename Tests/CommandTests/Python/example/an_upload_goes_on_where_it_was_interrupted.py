import socket
import struct
import subprocess

from splicing import arguments, check

program = arguments[0]

l = socket.create_server(('127.0.0.1', 0))
l.settimeout(60)
p = subprocess.Popen([program, 'file', '127.0.0.1', str(l.getsockname()[1])], stderr=subprocess.PIPE)
got = b''
for cut in (100_000, 250_000, None):
    s, _ = l.accept()
    s.settimeout(60)
    s.sendall(b'%016x' % len(got))
    while cut is None or len(got) < cut:
        d = s.recv(100_000)
        if not d:
            break
        got += d
    if cut is not None:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()
check(got == open('file', 'rb').read(), len(got))
sum = 14695981039346656037
for byte in got:
    sum = ((sum ^ byte) * 1099511628211) % (1 << 64)
s.sendall(b'%x' % sum)
s.close()
said = p.stderr.read().decode().splitlines()
check(p.wait(60) == 0 and said[-1] == 'done: %x' % sum and len(said) == 3, said)
