import os
import signal
import subprocess

from relaying import Relay, upstream
from splicing import check, start, until


def is_gone(process):
    try:
        with open('/proc/%d/stat' % process) as f:
            return f.read().rsplit(') ')[1][0] in 'ZX'
    except FileNotFoundError:
        return True


def program(name):
    until(lambda: os.path.exists(name) and open(name).read().endswith('\n'))
    return int(open(name).read())


# Both signals are there before the first one has been answered.
for words in (
    ['-', 'exec:echo $$ >p; exec sleep 60'],
    ['exec:echo $$ >p; exec sleep 60', '-'],
    ['-', 'null:', '--skip-slow', 'exec:echo $$ >p; exec sleep 60'],
    ['join', '-', 'exec:echo $$ >p; exec sleep 60'],
):
    if os.path.exists('p'):
        os.unlink('p')
    p = start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = program('p')
    p.send_signal(signal.SIGSTOP)
    p.send_signal(signal.SIGTERM)
    p.send_signal(signal.SIGINT)
    p.send_signal(signal.SIGCONT)
    check(p.wait(20) in (-signal.SIGTERM, -signal.SIGINT), words, p.returncode)
    until(lambda: is_gone(child), words)
# A relay that drains.
r = Relay('--tap-upstream', 'exec:echo $$ >tap; exec sleep 60', upstreams=[upstream()])
held = r.pair()
child = program('tap')
r.process.send_signal(signal.SIGTERM)
r.line('drain')
check(r.stop() == -signal.SIGTERM)
until(lambda: is_gone(child), 'tap')
