import socket

from splicing import check, listen, reset, start

s, word = listen()
source, there = listen()
p = start(there, word)
up, _ = source.accept()
down, _ = s.accept()
up.sendall(b'x' * 1000)
check(len(down.recv(1000, socket.MSG_WAITALL)) == 1000)
reset(up)
try:
    check(down.recv(1) != b'', 'looks finished')
except ConnectionResetError:
    pass
check(p.wait() == 74)
check(p.stderr.read() == b'splice: %s: read: Connection reset by peer\n' % there.encode())
