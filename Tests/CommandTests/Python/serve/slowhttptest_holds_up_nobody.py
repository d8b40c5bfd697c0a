# slowhttptest with hundreds of connections that send a head, or content, or read an answer, as slowly as can
# be: others are answered meanwhile, and the server lets them go by itself.
import atexit
import re
import resource
import subprocess
import time

from filing import Files
from splicing import check, until

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
count = 400
open('a', 'w').write('content')
with open('big', 'wb') as file:
    file.truncate(64 << 20)
f = Files('--drain-timeout', '1s', '--access-log', 'log')
none = f.sockets()


def attack(*words, path=''):
    """Hundreds of connections at once; each goes on for longer than the test."""
    out = open('said', 'w')
    attacker = subprocess.Popen(
        [
            'slowhttptest', *words, '-c', str(count), '-r', str(count), '-l', '60', '-p', '5', '-v', '1',
            '-u', f'http://127.0.0.1:{f.port}/{path}',
        ],
        stdout=out, stderr=out,
    )
    atexit.register(attacker.kill)
    return attacker


def others_are_answered():
    """Sooner than any of those is let go for its slowness."""
    for _ in range(20):
        began = time.monotonic()
        check(f.ask('/a')[1] == b'content')
        check(time.monotonic() - began < 8)


def is_over(attacker):
    """The tool has no connections left, and its own probes were answered all the time."""
    check(attacker.wait(30) == 0)
    said = re.sub('\x1b[^m]*m', '', open('said').read())
    check('No open connections left' in said and 'service available:   YES' in said, said[-2000:])
    until(lambda: f.sockets() == none)


def refused():
    return open('log').read().count('"POST / HTTP/1.1" 405 ')


# Heads of which the end never comes have ten seconds.
began = time.monotonic()
attacker = attack('-H', '-i', '1')
until(lambda: f.sockets() >= none + count)
others_are_answered()
is_over(attacker)
check(time.monotonic() - began > 9, time.monotonic() - began)
# Content is not waited for: those who send it are answered, and have two seconds to hear it.
attacker = attack('-B', '-i', '1')
until(lambda: refused() > 0)
others_are_answered()
is_over(attacker)
until(lambda: refused() == count, refused())
# Answers that are hardly read; with SIGTERM they have the drain timeout.
attack('-X', '-w', '1', '-y', '512', '-n', '1', '-z', '5', path='big')
until(lambda: f.sockets() >= none + count)
others_are_answered()
began = time.monotonic()
f.stop()
check(time.monotonic() - began < 10, time.monotonic() - began)
