import os
import signal

from relaying import Relay, upstream
from splicing import check, until

r = Relay('--tap-upstream', 'exec:echo $$ >>runs; exec cat >/dev/null', upstreams=[upstream()])
pids = lambda: [int(word) for word in open('runs').read().split()] if os.path.exists('runs') else []
until(lambda: len(pids()) == 1)
os.kill(pids()[0], signal.SIGKILL)
line = r.line('ended by signal 9')
check('warning' in line and 'act=run' in line, line)
until(lambda: len(pids()) == 2)
check(not os.path.exists('/proc/%d' % pids()[0]), 'reaped')
check(r.stop() == 0)
