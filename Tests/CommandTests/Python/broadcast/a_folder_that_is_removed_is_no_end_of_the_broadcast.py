import os
import shutil
import signal

from broadcasting import Broadcast, exactly
from splicing import check, size, until

os.mkdir('folder')
b = Broadcast('--record', 'folder/show')
viewer, sender = b.viewer(), b.sender()
sender.sendall(b'one')
check(exactly(viewer, 3) == b'one')
until(lambda: size('folder/show.part') == 3)
shutil.rmtree('folder')
b.process.send_signal(signal.SIGHUP)
b.line('cannot give the recording its name')
sender.sendall(b'two')
check(exactly(viewer, 3) == b'two')
os.mkdir('folder')
until(lambda: size('folder/show.part') == 3)
sender.close()
b.line('source ended')
check(b.stop() == 0)
check(open('folder/show').read() == 'two')
