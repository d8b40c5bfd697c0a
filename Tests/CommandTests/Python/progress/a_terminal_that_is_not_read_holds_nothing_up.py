import fcntl
import os
import pty
import struct
import subprocess
import termios

from splicing import check, splice

master, terminal = pty.openpty()
os.environ['TERM'] = 'xterm'
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 120, 0, 0))
# Nearly full: the kernel says that there is room, and has less of it than what is drawn for six sinks.
filler = os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NONBLOCK)
try:
    while True:
        os.write(filler, bytes(256))
except BlockingIOError:
    pass
os.read(master, 1000)
sinks = [f'exec:cat > /dev/null; : {"a sink with a long name " * 3}{n}' for n in range(6)]


def other_user():
    os.setgid(65534)
    os.setuid(65534)


words = [splice, 'zero:', *sinks, '--limit', '4M', '--rate-limit', '1M']
# Also one that may not open the terminal again, where this can be tried.
for become in [None, other_user] if os.geteuid() == 0 else [None]:
    command = subprocess.Popen(words, stderr=terminal, preexec_fn=become)
    check(command.wait() == 0, become)
