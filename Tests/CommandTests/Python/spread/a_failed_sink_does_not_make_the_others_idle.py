import subprocess
import time

from splicing import check, start

p = start('-', '/dev/full', 'out', '--idle-timeout', '1s', stdin=subprocess.PIPE)
# A source that is slow, but never for as long as the timeout.
for n in range(7):
    p.stdin.write(b'%d' % n)
    p.stdin.flush()
    time.sleep(0.2)
p.stdin.close()
check(p.wait(20) == 74 and p.stderr.read() == b'splice: /dev/full: write: No space left on device\n')
check(open('out').read() == '0123456')
# And is not the one that is waited for.
p = start('-', '/dev/full', 'out', '--idle-timeout', '1200ms', '--force', stdin=subprocess.PIPE)
p.stdin.write(b'a')
p.stdin.flush()
check(p.wait(20) == 74)
said = p.stderr.read()
check(
    said == b'splice: /dev/full: write: No space left on device\nsplice: -: read: no byte for 1200ms\n', said
)
