import os
import pty
import subprocess

from splicing import check, splice

master, terminal = pty.openpty()
os.environ['TERM'] = 'xterm'
got = b''


def read():
    global got
    got += os.read(master, 10000)


pipes = [os.pipe() for _ in range(2)]
words = [[splice, '-', 'null:', '--limit', size, '--total', '100M'] for size in ('2M', '3M')]
commands = []


def begin():
    n = len(commands)
    commands.append(subprocess.Popen(words[n], stdin=pipes[n][0], stderr=terminal))
    os.write(pipes[n][1], bytes(999 + n * 1001))


begin()
while b'999B' not in got:
    read()
begin()
# It could have drawn twice while the first one did.
count = got.count(b'\r')
while got.count(b'\r') < count + 4:
    read()
check(b'1.95KiB 0:' not in got, got)
os.close(pipes[0][0])
os.write(pipes[0][1], bytes((2 << 20) - 999))
check(commands[0].wait() == 0)
while b'1.95KiB 0:' not in got:
    read()
check(got.index(b'2.00MiB') < got.index(b'\n') < got.index(b'1.95KiB 0:'), got)
commands[1].kill()
commands[1].wait()
