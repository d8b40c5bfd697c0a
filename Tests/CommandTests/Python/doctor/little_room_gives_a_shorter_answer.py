# No home, nowhere to write, few descriptors, small files, a narrow terminal, no locale: less is found out, and
# nothing crashes.
import fcntl
import os
import pty
import resource
import signal
import struct
import subprocess
import termios

from diagnosing import Diagnosis, another_user
from splicing import check, is_asleep, listen_without_room, splice, until


def limit(**limits):
    def begin():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, 'RLIMIT_' + name), (value, value))
    return begin


usual = Diagnosis()
check(Diagnosis(env={}).splices('pipe') == (True, True))
check(Diagnosis(env={'LANG': 'C', 'TMPDIR': '/nonexistent', 'HOME': '/nonexistent'}).kinds() == usual.kinds())
d = Diagnosis(preexec_fn=limit(NOFILE=16, FSIZE=64 << 10))
check([d.splices(kind) for kind in d.kinds()] == [usual.splices(kind) for kind in usual.kinds()], d.rows)
for count in range(5, 12):
    d = Diagnosis(preexec_fn=limit(NOFILE=count))
    check(d.whole['summary'])
d = Diagnosis(preexec_fn=limit(FSIZE=0))
check(d.splices('TCP over IPv4')[0] is not False, d.rows)
Diagnosis(preexec_fn=limit(NPROC=0), **another_user())
os.mkdir('gone')
Diagnosis(preexec_fn=lambda: (os.chdir('gone'), os.rmdir('../gone')))

# A narrow terminal: no line is longer, and nothing but lines is drawn.
for columns in 2, 7, 20, 49, 50, 80, 200:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    process = subprocess.Popen([splice, 'doctor', '/'], stdout=slave)
    os.close(slave)
    text = b''
    while True:
        try:
            text += os.read(master, 1 << 16)
        except OSError:
            break
    check(process.wait() == 0)
    lines = text.decode('ascii').splitlines()
    longest = max(map(len, lines))
    check(longest <= columns, columns, longest, max(lines, key=len))
    check('\x1b' not in text.decode())
    os.close(master)

# Nobody reads, and a full disk.
with open('/dev/full', 'w') as full:
    run = subprocess.run([splice, 'doctor'], stdout=full, stderr=subprocess.PIPE)
    check(run.returncode == 74 and run.stderr == b'splice: -: write: No space left on device\n', run)
reader, writer = os.pipe()
os.close(reader)
run = subprocess.run([splice, 'doctor'], stdout=writer, stderr=subprocess.PIPE)
check(run.returncode == -signal.SIGPIPE and run.stderr == b'', run)

# A peer that does not answer, and a signal: it ends as any program does.
held, word = listen_without_room()
for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
    with subprocess.Popen([splice, 'doctor', word], stdout=subprocess.PIPE) as process:
        until(lambda: is_asleep(process.pid))
        process.send_signal(number)
        check(process.wait(20) == -number and process.stdout.read() == b'', process.returncode)
