import os
import pty

from splicing import check, splice

pid, master = pty.fork()
if pid == 0:
    os.execv(splice, [splice, '-', '-'])
os.write(master, b'hello\n')
got = b''
while got.count(b'hello') < 2:
    got += os.read(master, 100)
os.write(master, b'\x04')
check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0)
