import time

from relaying import Relay, upstream
from resolving import known, resolver, resolving
from splicing import check

first = upstream(backlog=1000)
port = first.getsockname()[1]
other, moved = upstream(backlog=1000, where=('127.0.0.2', port)), upstream(
    backlog=1000, where=('127.0.0.3', port)
)
known(hangs=['127.0.0.1'], moves=['127.0.0.2'])
r = Relay(
    '--threads', '1', '--health-interval', '50ms',
    upstreams=['hangs:%d' % port, 'moves:%d' % port],
    env=resolver,
)
for s in (first, other):
    s.accept()[0].close()
known(hangs=[], moves=['127.0.0.3'])
# The other name is looked up, and both are checked, while the one is not answered.
moved.accept()[0].close()
for _ in range(3):
    for s in (first, moved):
        s.accept()[0].close()
# One thread a name, however long its lookup takes.
check(1 <= resolving(r.process.pid) <= 2, resolving(r.process.pid))
begin = time.monotonic()
check(r.stop() == 0)
check(time.monotonic() - begin < 10, 'too late', time.monotonic() - begin)
