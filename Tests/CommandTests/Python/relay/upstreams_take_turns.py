import re

from relaying import Relay, upstream
from splicing import all_of, check

ups = [upstream() for _ in range(3)]
r = Relay(upstreams=ups)
for turn in range(7):
    client, far = r.pair(turn % 3)
    client.sendall(bytes(1000 + turn))
    client.shutdown(1)
    check(all_of(far) == bytes(1000 + turn))
    far.sendall(bytes(10))
    far.close()
    check(all_of(client) == bytes(10))
    client.close()
    r.ended()
check(r.stop() == 0)
counts = [r.line('] upstream') for _ in ups] + [r.line('] total')]
numbers = [
    tuple(int(re.search(r'\b%s=(\d+)' % word, line)[1]) for word in ('connections', 'sent', 'received'))
    for line in counts
]
check(numbers == [(3, 3009, 30), (2, 2005, 20), (2, 2007, 20), (7, 7021, 70)], counts)
r = Relay('--balance', 'least-connections', upstreams=ups)
held = [r.pair(turn) for turn in range(3)]
# Whoever lost one is next, again and again.
for turn in [1, 2, 0, 1] * 20:
    client, far = held[turn]
    client.close()
    far.close()
    r.ended()
    held[turn] = r.pair(turn)
