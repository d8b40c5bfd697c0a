from broadcasting import Broadcast, exactly, units
from splicing import all_of, check, size, until

b = Broadcast('--record', 'show', '--align', '188', '--backlog', '10000', '--once')
sender = b.sender()
sender.sendall(units(1000))
until(lambda: size('show.part') == 188_000)
late = b.viewer()
# 10,000 bytes and what is left of the unit.
check(exactly(late, 188 * 54) == units(54, first=946))
sender.sendall(units(100, first=1000))
sender.close()
check(all_of(late) == units(100, first=1000))
check(b.process.wait(20) == 0)
