from broadcasting import Broadcast
from splicing import all_of, check

for _ in range(5):
    b = Broadcast('--once')
    viewer, first = b.viewer(), b.sender()
    # It stands in the queue while the first one sends.
    second = b.sender()
    second.sendall(b'second')
    first.sendall(b'first')
    b.line('] source')
    first.close()
    check(all_of(viewer) == b'first')
    viewer.close()
    check(b.process.wait(20) == 0)
