import os
import signal
import subprocess

from splicing import check, start, until

for number, status in [(signal.SIGTERM, 143), (None, 74)]:
    p = start('-', '/dev/full', 'out', '--force', stdin=subprocess.PIPE)
    p.stdin.write(b'a')
    p.stdin.flush()
    check(p.stderr.readline() == b'splice: /dev/full: write: No space left on device\n')
    until(lambda: os.path.getsize('out') == 1)
    p.send_signal(signal.SIGUSR1)
    said = [p.stderr.readline() for _ in range(3)]
    check(b'/dev/full' in said[1] and said[1].endswith(b', failed\n') and said[2].endswith(b' out\n'), said)
    if number:
        p.send_signal(number)
    else:
        p.stdin.close()
    check(p.wait(20) == status and p.stderr.read() == b'')
