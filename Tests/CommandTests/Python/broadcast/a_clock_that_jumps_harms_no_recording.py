import glob
import os

from broadcasting import Broadcast, exactly
from splicing import check, preloading, until

# The clock of the day names files; what is waited for goes by the one that does not jump.
open('jump', 'w').write('0')
b = Broadcast(
    '--record', 'show', '--rotate-interval', '300ms', '--align', '10',
    env=preloading(os.path.join(os.path.dirname(__file__), '../operations/jump.c')),
)
viewer, sender = b.viewer(), b.sender()
sent = b''


def whole():
    return [path for path in glob.glob('show-*') if not path.endswith('.part')]


for jump in ['0', '400', '-400', '0']:
    open('new', 'w').write(jump)
    os.rename('new', 'jump')
    before = len(whole())

    def goes_on():
        global sent
        piece = b'%09d.' % len(sent)
        sender.sendall(piece)
        check(exactly(viewer, 10) == piece)
        sent += piece
        return len(whole()) >= before + 2

    until(goes_on)
sender.close()
check(b.stop() == 0)
# Each byte is in one file, and no file has lost its name to another.
pieces = sorted(open(path, 'rb').read() for path in whole())
check(b''.join(pieces) == sent and len({path[:9] for path in whole()}) > 1, whole())
