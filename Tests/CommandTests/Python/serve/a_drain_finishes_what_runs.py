import os
import signal
import socket

from filing import Files
from splicing import all_of, check

size = 32 << 20
with open('f', 'wb') as file:
    file.truncate(size)
f = Files('--admin', 'unix:admin')
idle = f.connect()
idle.sendall(b'GET /none HTTP/1.1\r\nhost: x\r\n\r\n')
check(idle.recv(1000).startswith(b'HTTP/1.1 404 '))
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.settimeout(20)
s.connect(('127.0.0.1', f.port))
s.sendall(b'GET /f HTTP/1.1\r\nhost: x\r\n\r\n')
got = s.recv(10)
f.process.send_signal(signal.SIGTERM)
check(all_of(idle) == b'')
f.line('draining')
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
got += all_of(s)
check(len(got.split(b'\r\n\r\n', 1)[1]) == size)
check(f.process.wait(20) == 0)
check(not os.path.exists('admin'))
