import glob
import signal

from broadcasting import Broadcast
from splicing import check, text, until

b = Broadcast('--record', 'show', '--once')
sender = b.sender()
sender.sendall(b'one')
until(lambda: text('show.part') == b'one')
b.process.send_signal(signal.SIGHUP)
until(lambda: glob.glob('show') and glob.glob('show-*.part'))
check(open('show').read() == 'one')
sender.sendall(b'two')
sender.close()
check(b.process.wait(20) == 0)
check(open('show').read() == 'one')
(second,) = glob.glob('show-*')
check(open(second).read() == 'two')
