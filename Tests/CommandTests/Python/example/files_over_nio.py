import socket
import subprocess

from splicing import arguments, check

program = arguments[0]
p = subprocess.Popen([program, '.'], stdout=subprocess.PIPE)
where = p.stdout.readline().decode().strip().rsplit(':', 1)


def client():
    s = socket.create_connection(('127.0.0.1', int(where[1])))
    s.settimeout(60)
    return s


# Two requests in one, and one in two.
s = client()
s.sendall(b'one\ntwo\no')
f = s.makefile('rb')
want = open('one', 'rb').read()
check(f.readline() == b'3000000\n' and f.read(3000000) == want)
check(f.readline() == b'0\n')
s.sendall(b'ne\n')
check(f.readline() == b'3000000\n' and f.read(3000000) == want)
s.sendall(b'none\n')
check(f.read(1) == b'')
t = client()
t.sendall(b'../one\n')
check(t.recv(1) == b'')
p.terminate()
p.wait(60)
