import os
import signal

from relaying import reloadable, upstream
from splicing import check, until

up = upstream()
r = reloadable('--tap-downstream', 'seen', upstreams=[up])
if not any('tap begins' in line for line in r.said):
    r.line('tap begins')
# It has all its descriptors once a byte came through it. The connection stays, and is silent from now on.
client, far = r.pair()


def seen():
    far.sendall(b'x')
    check(client.recv(1) == b'x')
    return os.path.getsize('seen') > 0


until(seen, 'the tap gets bytes')
before = r.descriptors()
for _ in range(30):
    r.process.send_signal(signal.SIGHUP)
    r.line('tap begins')
until(lambda: r.descriptors() <= before, before, r.descriptors())
client.close()
far.close()
check(r.stop() == 0)
