from relaying import Relay, upstream
from splicing import check, fill, is_reset, reset, until

r = Relay('--threads', '1', upstreams=[upstream()])
before = r.sockets()
for by_client in [True, False]:
    client, far = r.pair()
    one, other = (client, far) if by_client else (far, client)
    # The other one does not read: bytes are in the relay's pipe and in all queues.
    fill(one)
    reset(one)
    said = r.ended()
    check('reset' in said['why'] and said['ended'] == ('client' if by_client else 'upstream'), said)
    check(is_reset(other))
    until(lambda: r.sockets() == before, 'sockets', r.sockets(), before)
check(r.stop() == 0)
