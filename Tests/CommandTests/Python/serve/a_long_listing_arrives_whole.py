# Of a directory with many names, by a unix socket, which takes little at a time: with a client that takes more
# time for it than one may take for nothing; those who take nothing of it share one.
import os
import re
import socket
import time

from serving import Server
from splicing import all_of, check

os.mkdir('www')
for number in range(2000):
    open('www/%04d' % number + 'ü' * 120, 'w').close()
server = Server('serve', 'www', '--listing', '--listen', 'unix:socket', '--threads', '1')
server.line(': listening')


def asks():
    s = socket.socket(socket.AF_UNIX)
    # A page takes a second to make in a debug build, and many times that beside all other tests.
    s.settimeout(60)
    s.connect('socket')
    s.sendall(b'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    return s


def memory():
    return int(re.search(r'VmRSS:\s*(\d+)', open('/proc/%d/status' % server.process.pid).read()).group(1)) << 10


whole = all_of(asks()).partition(b'\r\n\r\n')[2]
check(whole.count(b'<tr><td><a') == 2000 and whole.endswith(b'</html>\n'), len(whole))
before = memory()
silent = [asks() for _ in range(100)]
for s in silent:
    check(s.recv(1) == b'H')
check(memory() - before < 60 << 20, memory() - before)
for s in silent:
    s.close()
slow, got, began = asks(), b'', time.monotonic()
while rest := slow.recv(1 << 15):
    got += rest
    time.sleep(0.6)
check(time.monotonic() - began > 32)
check(got.endswith(whole), len(got), len(whole))
