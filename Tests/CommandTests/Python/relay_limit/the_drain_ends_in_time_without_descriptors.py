import resource
import signal
import time

from relaying import Relay, upstream
from splicing import check, is_reset

r = Relay('--threads', '1', '--drain-timeout', '1s', '--max-connections', '1000', upstreams=[upstream()])
first, far = r.pair()
clients = [first]
resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (r.descriptors(), r.descriptors()))
clients += [r.connect() for _ in range(20)]
r.line('cannot accept connections')
begin = time.monotonic()
r.process.send_signal(signal.SIGTERM)
check(r.process.wait(20) == 0)
check(time.monotonic() - begin < 15, 'too late', time.monotonic() - begin)
for c in clients:
    check(is_reset(c), 'reset')
