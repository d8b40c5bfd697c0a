import socket
import subprocess

from splicing import arguments, check

program = arguments[0]
s = socket.create_server(('127.0.0.1', 0))
s.settimeout(60)
p = subprocess.Popen([program, 'localhost', str(s.getsockname()[1]), 'record'], stdout=subprocess.PIPE)
port = int(p.stdout.readline().split(b':')[-1])
for word in (b'hello', b'world'):
    c = socket.create_connection(('127.0.0.1', port))
    c.sendall(word)
    c.shutdown(socket.SHUT_WR)
    peer, _ = s.accept()
    check(peer.recv(100) == word and peer.recv(100) == b'')
    peer.sendall(word[::-1])
    peer.close()
    check(c.recv(100) == word[::-1] and c.recv(100) == b'')
    c.close()
    check(p.stdout.readline().startswith(b'forward ended first'))
check(p.wait(60) == 0 and p.stdout.read() == b'10 bytes recorded\n')
check(open('record').read() == 'helloworld')
