import glob
import os
import signal

from broadcasting import Broadcast
from splicing import check, until

b = Broadcast('--record', 'show', '--rotate-size', '1M')
sender = b.sender()
piece = os.urandom(1 << 20)
for _ in range(5):
    sender.sendall(piece)
sender.sendall(b'half')
until(lambda: len(glob.glob('show-*Z*')) == 6)
until(lambda: any(os.path.getsize(f) == 4 for f in glob.glob('*.part')))
b.process.send_signal(signal.SIGKILL)
b.process.wait(20)
whole = [f for f in glob.glob('show-*') if not f.endswith('.part')]
check(len(whole) == 5 and all(open(f, 'rb').read() == piece for f in whole))
(part,) = glob.glob('*.part')
check(open(part).read() == 'half')
# The next one goes on beside it.
b = Broadcast('--record', 'show', '--rotate-size', '1M')
sender = b.sender()
sender.sendall(piece)
until(lambda: len([f for f in glob.glob('show-*') if not f.endswith('.part')]) == 6)
check(open(part).read() == 'half')
sender.close()
check(b.stop() == 0)
