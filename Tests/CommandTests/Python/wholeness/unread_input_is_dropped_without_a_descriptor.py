import socket
import subprocess

from relaying import name
from splicing import all_of, check, is_asleep, splice, until

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.bind(('127.0.0.1', 0))
s.listen()
p = subprocess.Popen(
    [
        'strace', '-f', '-qq', '-o', '/dev/null', '-P', '/dev/null', '-e', 'trace=openat', '-e',
        'inject=openat:error=EMFILE', splice, '-',
        'tcp:' + name(s),
    ],
    stdin=subprocess.PIPE,
    stderr=subprocess.PIPE,
)
c, _ = s.accept()
c.settimeout(20)
c.sendall(b'unread' * 1000)
# It is all on its way, and only a little of it here, when the command has nothing left to do but to listen.
p.stdin.write(b'a' * 300000)
p.stdin.close()
with open(f'/proc/{p.pid}/task/{p.pid}/children') as file:
    command = int(file.read())
until(lambda: p.poll() is not None or is_asleep(command), 'it listens')
check(len(all_of(c)) == 300000)
c.close()
check(p.wait(20) == 0, p.stderr.read())
