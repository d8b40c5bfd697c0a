from broadcasting import Broadcast, exactly, units
from splicing import check, reset

b = Broadcast('--align', '188')
viewer = b.viewer()
first = b.sender()
first.sendall(units(3) + b'half a unit')
check(exactly(viewer, 3 * 188) == units(3))
# It is killed, and its last unit is of no use to anybody.
second = b.sender()
reset(first)
second.sendall(units(5, first=3))
check(exactly(viewer, 5 * 188) == units(5, first=3))
check('dropped=11' in b.line('source ended'))
second.close()
b.line('source ended')
third = b.sender()
third.sendall(units(1, first=8) + b'the end')
check(exactly(viewer, 188) == units(1, first=8))
# What the stream ends with is not cut.
third.close()
b.line('source ended')
check(b.stop() == 0)
