import os
import signal

from broadcasting import Broadcast, exactly
from splicing import all_of, check, size, until

content = os.urandom(8_000_000)
b = Broadcast('--record', 'show')
viewer = b.viewer(room=1 << 16)
sender = b.sender()
sender.sendall(content)
got = exactly(viewer, 1000)
# It has taken everything that was sent by the time it is told to end.
until(lambda: size('show.part') == len(content))
b.process.send_signal(signal.SIGTERM)
b.line('draining')
got += all_of(viewer)
check(got == content, len(got))
check(b.process.wait(20) == 0)
check(open('show', 'rb').read() == content)
