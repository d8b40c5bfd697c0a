import fcntl
import os
import socket

from splicing import arguments, check, start

family = socket.AddressFamily[arguments[0]]


def flags(s):
    return fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK


if family == socket.AF_UNIX:
    ours, given = socket.socketpair()
else:
    s = socket.create_server(('127.0.0.1', 0))
    ours = socket.create_connection(s.getsockname())
    given, _ = s.accept()
p = start('join', f'fd:{given.fileno()}', 'exec:cat', pass_fds=[given.fileno()])
ours.sendall(b'hello')
check(ours.recv(100) == b'hello')
check(not flags(given), 'while it runs')
ours.shutdown(socket.SHUT_WR)
check(p.wait() == 0 and not flags(given), 'afterwards')
