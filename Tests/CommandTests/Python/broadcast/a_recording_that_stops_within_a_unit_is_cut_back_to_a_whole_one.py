import os
import subprocess

from broadcasting import Broadcast, units
from splicing import all_of, check, inside, size, until

inside()
os.mkdir('disk')
subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=7M', 'tmpfs', 'disk'], check=True)
b = Broadcast('--record', 'disk/show', '--align', '188', '--once', '--drain-timeout', '2m')
# It stops at once, and reads what is recorded when it goes on.
viewer, sender = b.viewer(room=1 << 16), b.sender()
count = 450_000
for first in range(0, count, 10_000):
    sender.sendall(units(10_000, first=first))
b.line('the recording stops')
until(lambda: size('disk/show'))
check(size('disk/show') % 188 == 0, size('disk/show'))
with open('disk/show', 'rb') as kept:
    kept.seek(-188, 2)
    last = int.from_bytes(kept.read(188)[1:5], 'big')
# It has read of that file what its socket takes, and the rest goes by with it.
os.remove('disk/show')
b.line('the recording has a gap')
sender.sendall(units(100, first=count))
sender.close()
got = all_of(viewer)
check(len(got) % 188 == 0 and all(got[n] == ord('G') for n in range(0, len(got), 188)))
numbers = [int.from_bytes(got[n + 1 : n + 5], 'big') for n in range(0, len(got), 188)]
check(numbers == sorted(set(numbers)) and 0 < last < count and numbers[-1] == count + 99, numbers[-1], b.left())
check(b.process.wait(60) == 74)
