import socket

from relaying import Relay, upstream
from splicing import check, is_reset, until

r = Relay('--half-close-timeout', '200ms', upstreams=[upstream()])
for client_ends in [True, False]:
    client, far = r.pair()
    ended, other = (client, far) if client_ends else (far, client)
    ended.shutdown(1)
    check(other.recv(1) == b'')
    # Half of an answer, which nothing follows.
    other.sendall(b'half')
    check(ended.recv(4) == b'half')
    check(is_reset(ended), 'a clean end', client_ends)
    # The other has had its end before; that it was reset it sees when it goes on.
    until(lambda: other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, 'not reset', client_ends)
    said = r.ended()
    check(said['why'] == 'half-close timeout', said)
check(r.stop() == 0)
