import socket
import time

from relaying import Relay, upstream
from splicing import check, fill, until

r = Relay(upstreams=[upstream()])
pairs = [r.pair() for _ in range(50)]
for client, far in pairs:
    client.sendall(b'x')
    check(far.recv(1) == b'x')
# One side stuck, the other talking.
client, far = r.pair()
fill(client)
before = r.seconds()
# A second, so that who spins is seen.
for _ in range(20):
    far.sendall(b'still here')
    time.sleep(0.05)
check(r.seconds() - before < 0.1, 'it spins')
client.setblocking(True)
check(client.recv(200, socket.MSG_WAITALL) == b'still here' * 20)
held = r.descriptors()
for c, f in pairs + [(client, far)]:
    c.close()
    f.close()
for _ in range(51):
    r.ended()
until(lambda: r.descriptors() <= held - 102, 'descriptors', held, r.descriptors())
check(r.stop() == 0)
