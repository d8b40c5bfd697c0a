import glob
import os
import time

from broadcasting import Broadcast, units
from splicing import check, text, until

open('show-20000101T000000Z.ts', 'w').write('not ours')
b = Broadcast(
    '--record', 'show.ts', '--align', '188', '--rotate-size', '100000', '--keep', '3'
)
sender = b.sender()
size = 100_000 // 188 * 188
for n in range(5):
    sender.sendall(units(size // 188, first=n * (size // 188)))
sender.sendall(units(10))


def ours():
    return sorted(glob.glob('show-2[0-9]*.ts'))[1:]


until(lambda: (text('show.ts.index') or b'').count(b'\n') == 6)
until(lambda: len(ours()) == 3, ours())
check(sorted(os.path.getsize(f) for f in ours()) == [size] * 3)
until(lambda: len(glob.glob('*.part')) == 1)
check(open('show-20000101T000000Z.ts').read() == 'not ours')
# One that has another file's name by now is not removed, and one of an earlier run is.
victim = ours()[0]
os.unlink(victim)
open(victim, 'w').write('not ours')
sender.close()
check(b.stop() == 0)
before = [f for f in ours() if f != victim]
time.sleep(1.1)
b = Broadcast('--record', 'show.ts', '--align', '188', '--rotate-size', '100000', '--keep', '1')
sender = b.sender()
sender.sendall(units(size // 188))
until(lambda: not any(os.path.exists(f) for f in before), before)
check(open(victim).read() == 'not ours')
sender.close()
check(b.stop() == 0)
