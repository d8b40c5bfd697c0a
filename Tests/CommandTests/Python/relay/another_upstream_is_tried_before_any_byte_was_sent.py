import socket

from relaying import name, Relay, upstream
from splicing import check, is_reset

gone = upstream()
nowhere = name(gone)
gone.close()
# A listener whose queue is full does not answer.
full = upstream(0)
crowd = []
for _ in range(4):
    s = socket.socket()
    s.setblocking(False)
    try:
        s.connect(full.getsockname())
    except BlockingIOError:
        pass
    crowd.append(s)
here = upstream()
r = Relay('--connect-timeout', '200ms', upstreams=[nowhere, full, here])
for _ in range(6):
    client, far = r.pair(2)
    client.sendall(b'x')
    check(far.recv(1) == b'x')
    client.close()
    far.close()
    check(r.ended()['upstream'] == name(here))
here.close()
client = r.connect()
check(is_reset(client), 'nobody answers')
check('connect' in r.ended()['why'])
check(r.stop() == 0)
