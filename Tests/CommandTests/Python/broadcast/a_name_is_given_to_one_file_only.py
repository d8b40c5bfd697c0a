import glob
import os
import signal

from broadcasting import Broadcast, exactly
from splicing import check, until

taken = {}


def carry_off():
    """As who puts whole files elsewhere does; how many there were."""
    names = [path for path in sorted(glob.glob('show*')) if not path.endswith(('.part', '.index'))]
    for name in names:
        with open(name, 'rb') as file:
            check(name not in taken, 'twice', name, taken.keys())
            taken[name] = file.read()
        os.remove(name)
    return len(names)


sent = b''
# Many a second, and again after a restart.
for turn in range(2):
    b = Broadcast('--record', 'show', '--rotate-size', '10', '--align', '10')
    viewer, sender = b.viewer(), b.sender()
    for _ in range(12):
        piece = b'%09d.' % len(sent)
        sender.sendall(piece)
        check(exactly(viewer, 10) == piece)
        sent += piece
        until(carry_off)
    sender.close()
    check(b.stop() == 0)
carry_off()
check(len(taken) == 24 and b''.join(taken[name] for name in sorted(taken)) == sent, taken)
# Without a rotation as well: the plain name is that of the first.
b = Broadcast('--record', 'show')
viewer, sender = b.viewer(), b.sender()
for _ in range(3):
    sender.sendall(b'and more.')
    check(exactly(viewer, 9) == b'and more.')
    until(lambda: sum(map(os.path.getsize, glob.glob('show*.part'))) == 9)
    b.process.send_signal(signal.SIGHUP)
    until(carry_off)
sender.close()
check(b.stop() == 0)
check(len(taken) == 27 and taken['show'] == b'and more.', taken.keys())
