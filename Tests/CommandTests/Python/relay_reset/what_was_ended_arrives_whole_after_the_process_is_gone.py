import os
import signal
import socket

from relaying import Relay, upstream
from splicing import all_of, check

content = os.urandom(400_000)
for number in [signal.SIGKILL, signal.SIGTERM]:
    up = upstream()
    up.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    r = Relay(upstreams=[up])
    # Windows so small that most of it is in the relay's queues when it has ended.
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(('127.0.0.1', r.port))
    far, _ = up.accept()
    far.settimeout(20)
    for s in (client, far):
        s.sendall(content)
        s.shutdown(1)
    check(r.ended()['why'] == 'end')
    check(r.stop(number) == (0 if number == signal.SIGTERM else -9))
    check(all_of(client) == content and all_of(far) == content, number)
