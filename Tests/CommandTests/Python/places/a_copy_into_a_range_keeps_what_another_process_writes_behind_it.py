import os
import signal
import subprocess

from splicing import check, splice, until

# A hole at the end, which the sink is to have as well.
with open('source', 'wb') as f:
    f.write(b'a' * 4096)
    f.truncate(1 << 20)
words = [splice, 'source', 'sink', '--sink-offset', '0']


def strace(log, *more):
    open('sink', 'wb').close()
    open(log, 'w').close()
    return subprocess.Popen(
        [
            'strace', '-D', '-o', log, '-P', 'sink', '-e',
            'trace=newfstatat,fstat,pwrite64,ftruncate', *more, *words,
        ]
    )


check(strace('first').wait(30) == 0)
# -D: strace is no child of ours, and writes its last line when the command has ended.
until(lambda: 'exited with 0' in open('first').read())
calls = [line for line in open('first') if line[0].isalpha()]
last = max(n for n, line in enumerate(calls) if 'stat' in line.split('(')[0])
check(last < len(calls) - 1, calls)
# Another process writes between the last look at the size and what makes the hole.
p = strace(
    'second', '-e',
    'inject=newfstatat,fstat:signal=STOP:when=%d' % sum('stat' in c.split('(')[0] for c in calls),
)
until(lambda: 'stopped by SIGSTOP' in open('second').read())
check(os.stat('sink').st_size == 4096)
with open('sink', 'r+b') as f:
    f.seek(1 << 20)
    f.write(b'b' * 4096)
p.send_signal(signal.SIGCONT)
check(p.wait(30) == 0)
check(
    open('sink', 'rb').read() == b'a' * 4096 + bytes((1 << 20) - 4096) + b'b' * 4096, os.stat('sink').st_size
)
