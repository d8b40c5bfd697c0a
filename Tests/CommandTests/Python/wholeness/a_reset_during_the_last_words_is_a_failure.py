import socket

from relaying import name
from splicing import check, reset, start, until

open('a', 'wb').write(b'a' * 100000)
for more in [[], ['null:']]:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind(('127.0.0.1', 0))
    s.listen()
    p = start('a', 'tcp:' + name(s), *more)
    c, _ = s.accept()
    c.settimeout(20)
    check(len(c.recv(1000)) > 0)
    # CLOSE_WAIT: everything has come, and the end.
    until(lambda: c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b'\x08')
    reset(c)
    said = p.stderr.read()
    check(p.wait(20) == 74 and b': close: Connection reset by peer' in said, p.returncode, said)
