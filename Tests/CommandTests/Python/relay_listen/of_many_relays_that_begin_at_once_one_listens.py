import atexit
import os
import socket

from relaying import name, upstream
from splicing import check, start, until

up = upstream()
for turn in range(6):
    s = socket.socket(socket.AF_UNIX)
    s.bind('here')
    s.close()
    all = [start('relay', 'unix:here', name(up)) for _ in range(6)]
    for p in all:
        atexit.register(p.kill)
    # Those that are refused end, and the one that is left serves.
    until(lambda: sum(p.poll() is None for p in all) <= 1, 'several listen')
    left = [p for p in all if p.poll() is None]
    check(len(left) == 1, 'nobody listens')
    check([p.returncode for p in all if p not in left] == [73] * 5)
    check(b'listening' in left[0].stderr.readline())
    # Those that were refused have knocked.
    client = socket.socket(socket.AF_UNIX)
    client.connect('here')
    client.sendall(b'x')
    while True:
        far, _ = up.accept()
        if far.recv(1):
            break
        far.close()
    client.close()
    far.close()
    left[0].terminate()
    check(left[0].wait(20) == 0 and not os.path.lexists('here'))
