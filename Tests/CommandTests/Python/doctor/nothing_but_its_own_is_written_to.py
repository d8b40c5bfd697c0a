# As strace sees it: what is opened for writing has no name, or is a device that keeps nothing; nothing is made,
# renamed or removed, and what is named is opened for reading.
import os
import re
import subprocess

from splicing import check, listen, splice

os.mkfifo('fifo')
os.mkdir('kept')
with open('file', 'w') as file:
    file.write('content')
before = {name: os.stat(name) for name in ('.', 'file', 'fifo')}
listener, word = listen()
subprocess.run(
    ['strace', '-f', '-qq', '-o', 'kept/trace', '-e', 'trace=%file,%desc,%network', splice, 'doctor', '.', 'file', 'fifo',
     '/dev/null', word], check=True, stdout=subprocess.DEVNULL)
with open('kept/trace') as file:
    trace = file.read()
opened = re.findall(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", ([A-Z_|0-9x]+)', trace)
check(len(opened) > 20, trace[-400:])
for path, flags in opened:
    if 'O_WRONLY' in flags or 'O_RDWR' in flags:
        device = path in ('/dev/zero', '/dev/null', '/dev/full', '/dev/urandom', '/dev/ptmx')
        check('O_TMPFILE' in flags or device, path, flags)
    check('O_CREAT' not in flags and 'O_TRUNC' not in flags, path, flags)
# Asked what it is, and no more.
check(all(flags == 'O_RDONLY|O_CLOEXEC|O_PATH' for path, flags in opened if path == 'fifo'), opened)
for call in 'unlink', 'rename', 'mkdir', 'link', 'chmod', 'chown', 'truncate', 'mknod', 'symlink', 'setxattr', 'creat':
    check(not re.search(r'^\d+ +f?%s(at|at2|2)?\(' % call, trace, re.M), call)
# Nothing is sent to who was connected to.
peer, _ = listener.accept()
check(peer.recv(100) == b'')
for name, status in before.items():
    now = os.stat(name)
    check((now.st_mtime_ns, now.st_ctime_ns, now.st_size) == (status.st_mtime_ns, status.st_ctime_ns, status.st_size))
check(sorted(os.listdir('.')) == ['fifo', 'file', 'kept'])
