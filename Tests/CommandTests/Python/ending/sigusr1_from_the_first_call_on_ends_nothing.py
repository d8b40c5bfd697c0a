import signal
import subprocess

from relaying import Relay, upstream
from splicing import check, splice

open('a', 'wb').write(b'a' * 100)
# Signals at one call after the other of the first that the program makes by itself.
for call in ('fcntl', 'eventfd2', 'newfstatat,fstat', 'openat'):
    trace = subprocess.run(
        ['strace', '-qq', '-e', 'trace=rt_sigaction,' + call, splice, 'a', 'b'],
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = [l for l in trace.stderr.splitlines() if '(' in l]
    first = next(n for n, l in enumerate(lines) if 'SIGUSR1, {sa_handler=0x' in l)
    before = sum(not l.startswith('rt_sigaction') for l in lines[:first])
    after = sum(not l.startswith('rt_sigaction') for l in lines[first:])
    for when in range(before + 1, min(before + 8, before + after + 1)):
        p = subprocess.run(
            [
                'strace', '-qq', '-o', '/dev/null', '-e', 'trace=' + call,
                '-e', 'inject=%s:signal=SIGUSR1:when=%d' % (call, when), splice, 'a', 'b',
            ],
            stderr=subprocess.PIPE,
        )
        check(p.returncode == 0, call, when, p)
# It stands before the descriptors are looked at, which is the first thing there is to do.
trace = subprocess.run(
    ['strace', '-qq', '-e', 'trace=rt_sigaction,fcntl', splice, 'a', 'b'], stderr=subprocess.PIPE, text=True
).stderr
check(trace.index('SIGUSR1, {sa_handler=0x') < trace.index('F_GETFL'), trace)
# And in the relay.
r = Relay(upstreams=[upstream()])
r.process.send_signal(signal.SIGUSR1)
c = r.connect()
far, _ = r.upstreams[0].accept()
far.close()
check(c.recv(1) == b'')
c.close()
check(r.stop() == 0)
