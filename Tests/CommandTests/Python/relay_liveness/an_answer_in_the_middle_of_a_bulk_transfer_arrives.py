import os
import signal
import sys

from relaying import Relay, upstream
from splicing import check

up = upstream(400)
r = Relay(upstreams=[up])
size = 8 << 20


def forked(body, *words):
    process = os.fork()
    if process == 0:
        try:
            body(*words)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return process


def serve():
    room = bytearray(1 << 20)
    while True:
        far, _ = up.accept()
        got, answered = 0, False
        while count := far.recv_into(room):
            got += count
            if got >= size // 2 and not answered:
                far.sendall(b'!')
                answered = True
            if got >= size:
                break
        far.close()


def client():
    content = bytes(size)
    for _ in range(20):
        s = r.connect()
        s.settimeout(5)
        s.sendall(content)
        check(s.recv(1) == b'!')
        s.close()


up.settimeout(None)
servers = [forked(serve) for _ in range(8)]
answered = [os.waitpid(process, 0)[1] == 0 for process in [forked(client) for _ in range(8)]]
for process in servers:
    os.kill(process, signal.SIGKILL)
check(all(answered), 'a client was not answered')
check(r.stop() == 0)
