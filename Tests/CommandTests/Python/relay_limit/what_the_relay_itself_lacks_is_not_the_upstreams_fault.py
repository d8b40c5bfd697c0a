import os
import resource

from relaying import Relay, upstream
from splicing import check, is_cut, until

# A client is accepted, and there is no descriptor for its upstream.
up = upstream()
r = Relay('--threads', '1', '--max-connections', '1000', '--health-fall', '1', upstreams=[up])
own = r.sockets()
client, far = r.pair()
client.close()
far.close()
r.ended()
until(lambda: r.sockets() == own, 'the line is there before the sockets are closed')
used = set(int(d) for d in os.listdir('/proc/%d/fd' % r.process.pid))
second = [n for n in range(1000) if n not in used][1]
resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (second, 1000))
for _ in range(5):
    check(is_cut(r.connect))
    said = r.ended()
    check(said['ended'] == 'relay' and said['why'] == 'connect: Too many open files', said)
resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (1000, 1000))
client, far = r.pair()
client.close()
far.close()
r.ended()
check(r.stop() == 0)
check(not any('is down' in line for line in r.said), r.said)
# Nor is there one for checks.
r = Relay('--health-interval', '20ms', '--health-fall', '1', upstreams=[up])
up.accept()[0].close()
resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (3, 1000))
# No check for the time of ten: they fail here, which nobody hears of.
up.settimeout(0.2)


def silent():
    try:
        up.accept()[0].close()
        return False
    except TimeoutError:
        return True


until(silent)
resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (1000, 1000))
up.settimeout(20)
up.accept()[0].close()
check(r.stop() == 0)
until(r.has_said_all)
check(not any('is down' in line for line in r.log()))
