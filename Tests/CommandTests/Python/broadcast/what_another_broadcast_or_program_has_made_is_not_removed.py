import glob
import os

from broadcasting import Broadcast
from splicing import check, until

words = ['--record', 'show', '--rotate-size', '1K', '--keep', '2']


def whole():
    return {f for f in glob.glob('show-*') if not f.endswith('.part')}


a = Broadcast(*words)
one = a.sender()
one.sendall(b'a' * 2048)
until(lambda: len(whole()) == 2)
of_a = whole()
# While the first one runs, a second one removes what it has made itself.
b = Broadcast(*words)
two = b.sender()
for n in range(5):
    two.sendall(b'b' * 1024)
until(lambda: open('show.index').read().count('\nfile ') == 7)
until(lambda: len(whole()) == 4)
check(of_a < whole())
one.close()
two.close()
check(a.stop() == 0 and b.stop() == 0)
# A file that was written since is somebody else's, whatever its name and inode.
kept = sorted(whole())
with open(kept[0], 'ab') as file:
    file.write(b'more')
c = Broadcast('--record', 'show', '--rotate-size', '1K', '--keep', '1')
three = c.sender()
three.sendall(b'c' * 1024)
until(lambda: not whole() & set(kept[1:]))
check(kept[0] in whole() and os.path.getsize(kept[0]) == 1028)
three.close()
check(c.stop() == 0)
