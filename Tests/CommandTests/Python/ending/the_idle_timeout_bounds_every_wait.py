import os
import socket
import subprocess
import time

from splicing import check, listen, listen_without_room, splice, start


def gives_up(*words, says, status=74, **more):
    began = time.monotonic()
    p = start(*words, '--idle-timeout', '300ms', **more)
    check(p.wait(20) == status, words, p.returncode)
    took = time.monotonic() - began
    check(0.25 < took < 15, words, took)
    said = p.stderr.read()
    check(said == says + b'\n', words, said)


os.mkfifo('in')
os.mkfifo('out')
open('a', 'wb').write(b'a' * 100)
gives_up('in', '-', says=b'splice: in: open: no peer for 300ms')
gives_up('a', 'out', says=b'splice: out: open: no peer for 300ms')
gives_up('tcp-listen:0', '-', says=b'splice: tcp-listen:0: accept: no peer for 300ms')
gives_up('a', 'unix-listen:s', says=b'splice: unix-listen:s: accept: no peer for 300ms')
check(not os.path.exists('s'))
gives_up('join', 'tcp-listen:0', 'null:', says=b'splice: tcp-listen:0: accept: no peer for 300ms')
# A backlog that is full answers nobody.
held, word = listen_without_room()
gives_up(word, '-', says=b'splice: %s: connect: no answer for 300ms' % word.encode())
gives_up('join', '-', word, says=b'splice: %s: connect: no answer for 300ms' % word.encode())
u = socket.socket(socket.AF_UNIX)
u.bind('full')
u.listen(0)
for _ in range(2):
    c = socket.socket(socket.AF_UNIX)
    c.setblocking(False)
    c.connect_ex('full')
    held.append(c)
gives_up('unix:full', '-', says=b'splice: unix:full: connect: no answer for 300ms')
# The resolver waits for its configuration.
began = time.monotonic()
p = subprocess.Popen(
    [
        'strace', '-f', '-qq', '-o', '/dev/null', '-P', '/etc/resolv.conf', '-e', 'trace=openat',
        '-e', 'inject=openat:delay_enter=8000000', splice, 'tcp:no.such.host.invalid:1', '-',
        '--idle-timeout', '300ms',
    ],
    stderr=subprocess.PIPE,
)
said = p.stderr.readline()
took = time.monotonic() - began
p.kill()
p.wait()
check(said.startswith(b'splice: tcp:no.such.host.invalid:1: resolve: ') and took < 5, said, took)
# A peer that never ends has been heard for long enough.
s, word = listen()
began = time.monotonic()
p = start('a', word, '--idle-timeout', '300ms')
c, _ = s.accept()
check(p.wait(20) == 0 and time.monotonic() - began < 4)
