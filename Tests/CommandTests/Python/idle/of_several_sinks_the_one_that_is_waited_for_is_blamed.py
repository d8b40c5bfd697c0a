import os
import subprocess

from splicing import check, start

# The source: the sinks have taken all there was.
p = start('-', 'one', 'two', '--idle-timeout', '1200ms', stdin=subprocess.PIPE)
p.stdin.write(b'a')
p.stdin.flush()
check(p.wait(20) == 74)
said = p.stderr.read()
check(said == b'splice: -: read: no byte for 1200ms\n', said)
# A fifo that is never read, as the second of three.
os.mkfifo('fifo')
reader = os.open('fifo', os.O_RDONLY | os.O_NONBLOCK)
p = start('zero:', 'null:', 'fifo', 'null:', '--idle-timeout', '1200ms')
check(p.wait(20) == 74)
said = p.stderr.read()
check(b'splice: fifo: write: no byte for 1200ms\n' in said and b'null:' not in said, said)
