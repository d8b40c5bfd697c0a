# A client that stops in the middle of a large answer, of which the file is forgotten by the page cache: when it
# goes on, threads that may wait for a disk read it, and the one that serves all does not.
import os
import socket
import time

from filing import Files
from splicing import check

size = 100 << 20
os.mkdir('www')
with open('www/f', 'wb') as file:
    for _ in range(100):
        file.write(os.urandom(1 << 20))
    file.flush()
    os.fsync(file.fileno())
f = Files(directory='www')


def read_from_disk():
    """Bytes that each kind of thread has had read, by its name."""
    had = {}
    for thread in os.listdir('/proc/%d/task' % f.process.pid):
        place = '/proc/%d/task/%s/' % (f.process.pid, thread)
        name = open(place + 'comm').read().strip()
        lines = dict(line.split(': ') for line in open(place + 'io').read().splitlines())
        had[name] = had.get(name, 0) + int(lines['read_bytes'])
    return had


with f.connect() as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    s.sendall(b'GET /f HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    got = 0
    # Long enough for what is known of the file to be asked for again.
    while got < 12 << 20:
        got += len(s.recv(1 << 18))
        time.sleep(0.02)
    number = os.open('www/f', os.O_RDONLY)
    for _ in range(4):
        time.sleep(0.5)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(number)
    while more := s.recv(1 << 20):
        got += len(more)
check(got > size)
had = read_from_disk()
disk = had.pop('splice-disk', 0)
# What is read ahead, without waiting for it, is had by whoever reads what is in front of it.
# (tmpfs forgets nothing.)
others = sum(had.values())
check(disk + others == 0 or disk > 16 << 20, disk, had)
