import os
import signal
import time

from relaying import reloadable, upstream
from splicing import check, until

names = ['tap%d' % n for n in range(12)]
up = upstream()
r = reloadable(*[word for name in names for word in ('--tap-upstream', name)], upstreams=[up])
begun = lambda: sum('tap begins' in line for line in r.log())
until(lambda: begun() >= len(names), 'taps')
end, n = time.monotonic() + 1.5, 0
while time.monotonic() < end:
    n += 1
    pause = time.monotonic() + (n * 37 % 400) / 1e6
    while time.monotonic() < pause:
        pass
    r.process.send_signal(signal.SIGHUP)
for name in names:
    os.rename(name, 'moved ' + name)
r.process.send_signal(signal.SIGHUP)
until(lambda: all(map(os.path.exists, names)), 'lost')
client, far = r.pair()


def seen():
    client.sendall(b'x')
    check(far.recv(1) == b'x')
    return all(os.path.getsize(name) for name in names)


until(seen, 'each tap gets bytes')
client.close()
far.close()
check(r.stop() == 0)
