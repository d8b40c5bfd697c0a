import os
import select
import subprocess
import tty

from splicing import check, splice

master, terminal = os.openpty()
tty.setraw(terminal)
command = subprocess.Popen([splice, 'null:', 'digest:sha256', '--progress', 'never'], stderr=master)
check(command.wait() == 0)
check(select.select([terminal], [], [], 20)[0])
check(os.read(terminal, 1000).startswith(b'e3b0c44298fc1c14'))
