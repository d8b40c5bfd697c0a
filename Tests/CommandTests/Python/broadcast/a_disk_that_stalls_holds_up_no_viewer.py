import os

from broadcasting import Broadcast, exactly
from splicing import check, preloading, until

open('stall', 'w').close()
b = Broadcast('--record', 'show', '--once', env=preloading(os.path.join(os.path.dirname(__file__), 'stall.c')))
viewer, sender = b.viewer(), b.sender()
content = os.urandom(1 << 20)
sent = b''
for turn in range(24):
    sender.sendall(content)
    sent += content
    check(exactly(viewer, len(content)) == content)
    if turn == 3:
        until(lambda: os.path.exists('stalled'))
check(os.path.getsize('show.part') == 0)
# What it did not take was kept, first in a pipe and then in memory, and is written once it takes bytes again.
os.remove('stall')
until(lambda: os.path.getsize('show.part') == len(sent))
sender.close()
check(b.process.wait(20) == 0, b.log())
check(open('show', 'rb').read() == sent and not any('gap' in line for line in b.log()), b.log())
