import os

from broadcasting import Broadcast, exactly
from splicing import all_of, check

origin = Broadcast('--once')
edge = Broadcast(source='http://127.0.0.1:%d/live' % origin.http)
edge.line('] source')
viewer, sender = edge.viewer(), origin.sender()
# Each piece has room in the sockets: one that a viewer is late with might be skipped.
for _ in range(50):
    piece = os.urandom(60_000)
    sender.sendall(piece)
    check(exactly(viewer, len(piece)) == piece)
sender.close()
check(origin.process.wait(20) == 0)
edge.line('source ended')
# The origin is down, and comes back at the same place.
edge.line('cannot reach the source')
origin = Broadcast('--record', 'again', http='127.0.0.1:%d' % origin.http)
edge.line('] source')
sender = origin.sender()
sender.sendall(b'again')
check(exactly(viewer, 5) == b'again')
check(edge.stop() == 0)
check(all_of(viewer) == b'')
check(origin.stop() == 0)
