import socket
import subprocess

from splicing import arguments, check, is_asleep, unread, until

program = arguments[0]
l = socket.create_server(('127.0.0.1', 0))
l.settimeout(60)
p = subprocess.Popen(
    [program, '127.0.0.1', str(l.getsockname()[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
lines = [b'message %d\n' % n for n in range(20)]
# Nobody answers at first.
where = l.getsockname()
l.close()
p.stdin.write(b''.join(lines))
p.stdin.flush()
until(lambda: unread(p.stdin) == 0 and is_asleep(p.pid), 'it has been refused')
p.stdin.close()
l = socket.create_server(where)
l.settimeout(60)
got = []
while len(got) < 20:
    s, _ = l.accept()
    s.settimeout(60)
    got.append(s.makefile('rb').read())
    s.close()
check(sorted(got) == sorted(lines), got)
check(p.wait(60) == 0 and p.stdout.read().startswith(b'sent, with '))
