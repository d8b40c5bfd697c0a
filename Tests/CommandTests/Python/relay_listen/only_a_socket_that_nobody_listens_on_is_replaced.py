import os
import socket
import subprocess

from relaying import name, Relay, upstream
from splicing import check, splice, until

up = upstream()


def refused(path, *words, status=73):
    p = subprocess.run(
        [splice, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=20,
    )
    check(
        p.returncode == status and b'unix' in p.stderr and b'Address already in use' in p.stderr,
        path, words, p,
    )


def bound(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    return s


open('file', 'w').write('precious')
os.mkfifo('fifo')
os.mkdir('directory')
bound('dead').close()
os.symlink('dead', 'link')
os.symlink('nowhere', 'dangling')
live, datagram = bound('live'), bound('datagram', socket.SOCK_DGRAM)
live.listen()
things = ['file', 'fifo', 'directory', 'link', 'dangling', 'live', 'datagram']
for path in things:
    before = os.lstat(path)
    refused(path, 'relay', 'unix:' + path, name(up))
    refused(path, 'relay', '--admin', 'unix:' + path, '127.0.0.1:0', name(up))
    refused(path, 'unix-listen:' + path, 'null:', status=66)
    refused(path, '/dev/null', 'unix-listen:' + path)
    refused(path, 'join', '-', 'unix-listen:' + path, status=66)
    after = os.lstat(path)
    check((before.st_ino, before.st_size) == (after.st_ino, after.st_size), path)
check(open('file').read() == 'precious')
s = socket.socket(socket.AF_UNIX)
s.connect('live')
# One that was left behind is replaced, by a relay and for its admin pages.
for path, more in [('dead', []), ('left', ['--admin', 'unix:left'])]:
    if more:
        bound('left').close()
    r = Relay(*more, upstreams=[up], listen='127.0.0.1:0' if more else 'unix:dead')
    until(lambda: os.path.exists(path))
    s = socket.socket(socket.AF_UNIX)
    until(lambda: s.connect_ex(path) == 0, path)
    s.close()
    if not more:
        up.accept()[0].close()
    check(r.stop() == 0 and not os.path.lexists(path), path)
# A copy replaces nothing.
bound('dead').close()
refused('dead', 'unix-listen:dead', 'null:', status=66)
check(os.path.lexists('dead'))
