import glob
import os
import subprocess

from broadcasting import Broadcast, exactly
from splicing import check, inside, size, until

inside()
os.mkdir('disk')
subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8M', 'tmpfs', 'disk'], check=True)
b = Broadcast('--record', 'disk/show', '--once', '--when-slow', 'skip')
viewer, sender = b.viewer(), b.sender()
piece = os.urandom(32 << 10)


def send(count):
    for _ in range(count):
        sender.sendall(piece)
        check(exactly(viewer, len(piece)) == piece)


# Past what the disk has and memory keeps.
send(3200)
b.line('cannot record')
# What it has taken is whole, as far as it goes.
until(lambda: size('disk/show'))
os.remove('disk/show')
b.line('the recording has a gap')
send(10)
sender.close()
check(viewer.recv(1) == b'')
check(b.process.wait(20) == 74)
until(b.has_said_all)
check(b.log()[-1].startswith('splice: disk/show: record: misses '), b.log())
index = open('disk/show.index').read()
check('\ngap ' in index, index)
# What was removed has had that name, and the next file has another.
names = glob.glob('disk/show-*Z')
check(len(names) == 1 and open(names[0], 'rb').read() == piece * 10, os.listdir('disk'))
