import os
import signal
import subprocess

from splicing import check, start

# The optional sink does not open, so the copy gives it its time; the others are served from the start. In that
# time the sink program asks how far the copy is, and fails. The source gives nothing, ever.
os.mkfifo('nobody')
p = start('-', 'exec:kill -USR1 $PPID; exec <&-; sleep 60', 'out', '--skip-slow', 'nobody', stdin=subprocess.PIPE)
lines = [p.stderr.readline() for _ in range(2)]
check(any(b': write: Broken pipe' in line for line in lines), lines)
check(any(line.endswith(b' avg]\n') for line in lines), lines)
p.send_signal(signal.SIGTERM)
check(p.wait(20) == 143)
