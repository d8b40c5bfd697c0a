import atexit
import os
import socket
import threading

from relaying import name, upstream
from splicing import check, start, until

up = upstream()
served = threading.Semaphore(0)


def serve():
    # Those that were refused have knocked; a relay carries their knocks here in any order, and waits for their
    # ends before it leaves.
    while True:
        far, _ = up.accept()
        if far.recv(1):
            served.release()
        far.close()


threading.Thread(target=serve, daemon=True).start()
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
    client = socket.socket(socket.AF_UNIX)
    client.connect('here')
    client.sendall(b'x')
    check(served.acquire(timeout=20), 'not served')
    client.close()
    left[0].terminate()
    check(left[0].wait(20) == 0 and not os.path.lexists('here'))
