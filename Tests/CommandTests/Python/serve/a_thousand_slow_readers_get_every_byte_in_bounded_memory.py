# A thousand clients that each read 100 kB a second of a large file get the right bytes, all of them at about
# that rate, and what the server holds for one of them does not grow with what it has sent.
import os
import resource
import select
import socket
import time

from filing import Files
from splicing import check, until

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
count, rate, size = 1000, 100_000, 1_000_000
whole = os.urandom(64 << 20)
open('f', 'wb').write(whole)
f = Files()
f.ask('/f')


def resident():
    """The memory of the server, in bytes."""
    with open(f'/proc/{f.process.pid}/status') as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith('VmRSS:'))


class Reader:
    """One of them, from another place of the file than its neighbour."""

    def __init__(self, number):
        self.place = number * 37_501
        self.head, self.got = b'', 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        self.socket.settimeout(20)
        self.socket.connect(('127.0.0.1', f.port))
        self.socket.sendall(b'GET /f HTTP/1.1\r\nhost: x\r\nrange: bytes=%d-\r\n\r\n' % self.place)
        self.socket.setblocking(False)

    def read(self, most):
        """Takes no more than this of what has come."""
        try:
            got = self.socket.recv(most)
        except BlockingIOError:
            return
        check(got, 'cut', self.got)
        if not self.got:
            self.head += got
            if b'\r\n\r\n' not in self.head:
                return
            head, got = self.head.split(b'\r\n\r\n', 1)
            check(head.startswith(b'HTTP/1.1 206 '), head)
        at = self.place + self.got
        check(got == whole[at : at + len(got)], 'other bytes', at)
        self.got += len(got)


few = resident()
readers = []
# Each has had the begin of its answer before time counts.
while len(readers) < count:
    begun = [Reader(len(readers) + number) for number in range(100)]
    readers += begun
    waiting = {reader.socket.fileno(): reader for reader in begun}
    while waiting:
        poll = select.poll()
        for number in waiting:
            poll.register(number, select.POLLIN)
        found = poll.poll(20_000)
        check(found, 'no answer', len(waiting))
        for number, _ in found:
            waiting[number].read(1000)
            if waiting[number].got:
                del waiting[number]
    # Those who were first go on to read.
    for reader in readers:
        reader.read(1000)
# From now on each reads at that rate, until it has a megabyte; on a busy machine that takes longer.
start, highest = time.monotonic(), 0
while late := [reader for reader in readers if reader.got < size]:
    allowed = (time.monotonic() - start) * rate
    check(allowed < 9 * size, 'too slow', len(late), min(reader.got for reader in late))
    for reader in late:
        if reader.got < allowed:
            reader.read(int(allowed) - reader.got)
    highest = max(highest, resident())
    time.sleep(0.05)
check(time.monotonic() - start > 0.9 * size / rate)
# A connection, a task and what waits for its socket: no pipe, and nothing of the file.
check(highest - few < count * (64 << 10), few, highest)
for reader in readers:
    reader.socket.close()
until(lambda: f.sockets() == 1)
check(f.stop() == 0)
