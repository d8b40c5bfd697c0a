import os
import socket

from draining import drain
from relaying import Relay, upstream
from splicing import check

up = upstream()
for unix in [False, True]:
    path = os.path.abspath('s%d' % unix)
    r = Relay(
        '--max-connections', '1', '--drain-timeout', '15s',
        upstreams=[up],
        listen='unix:' + path if unix else '127.0.0.1:0',
    )

    def connect():
        s = socket.socket(socket.AF_UNIX) if unix else socket.socket()
        s.settimeout(10)
        s.connect(path if unix else ('127.0.0.1', r.port))
        return s

    first = connect()
    first.sendall(b'x')
    far, _ = up.accept()
    check(far.recv(1) == b'x')
    queued = [connect() for _ in range(3)]
    drain(r, first, far, queued)
