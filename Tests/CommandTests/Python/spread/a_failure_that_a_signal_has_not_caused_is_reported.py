import os
import signal
import subprocess

from splicing import check, start, until

# The sink program has failed before, and nobody has noticed.
p = start('-', 'exec:exec <&-; touch closed; exit 3', 'out', stdin=subprocess.PIPE)
until(lambda: os.path.exists('closed'))
p.stdin.write(b'a')
p.stdin.flush()
check(b': write: Broken pipe' in p.stderr.readline())
p.send_signal(signal.SIGTERM)
check(p.wait(20) == 143)
