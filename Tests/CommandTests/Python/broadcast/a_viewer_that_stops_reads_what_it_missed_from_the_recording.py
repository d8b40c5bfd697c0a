import os

from broadcasting import Broadcast, exactly
from splicing import all_of, check, in_thread

content = os.urandom(16_000_000)
b = Broadcast('--record', 'show', '--once', '--drain-timeout', '2m')
stopped, live = b.viewer(room=1 << 16), b.viewer()
sender = b.sender()
reading = in_thread(all_of, live)
sender.sendall(content[:12_000_000])
# The live one has it all while the other has taken nothing.
first = exactly(stopped, 1000)
sender.sendall(content[12_000_000:])
sender.close()
check(reading() == content)
check(first + all_of(stopped) == content)
check(b.process.wait(20) == 0)
left = b.left(), b.left()
check(int(left[1]['replayed']) > 5_000_000, left)
check('skipped' not in left[1] and left[1]['delivered'] == '16000000', left)
check(open('show', 'rb').read() == content)
