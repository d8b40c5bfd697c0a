import os
import pty
import subprocess
import tty

from splicing import check, splice

master, slave = pty.openpty()
os.write(slave, b'hello\n')
out = subprocess.run([splice, '-', '-', '--limit', '7'], stdin=master, capture_output=True, timeout=20)
check(out.stdout == b'hello\r\n' and out.returncode == 0, out)
# And as a sink: what is written to it is typed at that terminal.

tty.setraw(slave)
out = subprocess.run([splice, '-', '-'], input=b'typed', stdout=master, stderr=subprocess.PIPE, timeout=20)
check(out.returncode == 0 and os.read(slave, 5) == b'typed', out)
