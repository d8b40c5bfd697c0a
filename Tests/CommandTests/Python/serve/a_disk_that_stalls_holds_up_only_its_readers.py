# A file system of which one file is never read to its end (of FUSE, /dev/fuse): whoever asks for that file
# waits, and everybody else is answered, also with other files of that file system. SIGTERM ends the command
# in time, and nothing but what the file has was sent.
import os
import socket
import threading
import time

from filing import Files
from fusing import FileSystem
from splicing import check, in_thread, inside, until

inside()
files = {2: ('stuck', 4 << 20), 3: ('fine', 300_000), 4: ('later', 64 << 20)}
content = {number: os.urandom(files[number][1]) for number in (2, 3)}
# So much of the first file is read; the reads of what follows are never answered.
read = 1 << 20
# The other is answered until somebody says otherwise: so far it was read, and from there on it is not.
furthest, stalls_later = 0, threading.Event()


class Stalling(FileSystem):
    """Its first file stalls after its first MiB, and the last when it is told."""

    def read(self, node, offset, count):
        global furthest
        if node == 2 and offset + count > read:
            return None
        if node != 4:
            return content[node][offset : offset + count]
        if stalls_later.is_set() and offset >= furthest:
            return None
        furthest = max(furthest, offset + count)
        return bytes(count)


os.mkdir('www')
unanswered = Stalling('www/disk', files).unanswered
open('www/a', 'w').write('content')
whole = os.urandom(5_000_000)
open('www/b', 'wb').write(whole)
f = Files('--drain-timeout', '2s', directory='www')
check(f.ask('/disk/fine')[1] == content[3])


def waits():
    """Asks for the file, and takes what comes."""
    s = f.connect()
    s.sendall(b'GET /disk/stuck HTTP/1.1\r\nhost: x\r\n\r\n')
    return rest(s)


def rest(s):
    """What comes until the connection ends."""
    got = b''
    s.settimeout(60)
    try:
        while more := s.recv(1 << 20):
            got += more
    except ConnectionError:
        pass
    return got


def others_are_answered():
    """Within a bound, whether the file is in the page cache or not, by new and by old connections."""
    for number in range(4):
        began = time.monotonic()
        check(f.ask('/a')[1] == b'content')
        check(f.ask('/b')[1] == whole)
        check(f.ask('/disk/fine')[1] == content[3])
        check(f.ask('/disk/stuck', 'HEAD')[0].status == 200)
        check(f.status('/none%d' % number) == 404)
        check(time.monotonic() - began < 10)


def is_still(number):
    """Whether it has not changed for half a second."""
    before = number()
    time.sleep(0.5)
    return number() == before


taken = 0
joins = [in_thread(waits)]
until(lambda: unanswered)
others_are_answered()
# More of them than there usually are threads for disks.
joins += [in_thread(waits) for _ in range(16)]
until(lambda: f.sockets() >= 17)
others_are_answered()
# One that has stopped reading, and whose disk stalls before it goes on: in the middle of what was begun.
slow = f.connect()
slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
slow.sendall(b'GET /disk/later HTTP/1.1\r\nhost: x\r\n\r\n')
until(lambda: is_still(lambda: furthest))
while furthest % (2 << 20) == 0 or taken < 1_500_000:
    taken += len(slow.recv(65536))
until(lambda: is_still(lambda: furthest))
stalls_later.set()
before = len(unanswered)
join = in_thread(rest, slow)
until(lambda: len(unanswered) > before)
others_are_answered()
check(f.process.poll() is None)
began = time.monotonic()
check(f.stop() == 0)
check(time.monotonic() - began < 15, time.monotonic() - began)
for join in joins:
    got = join()
    head, _, rest = got.partition(b'\r\n\r\n')
    check(content[2].startswith(rest) and len(rest) <= read, len(rest))
    check(not head or head.startswith(b'HTTP/1.1 200 '), head)
check(join())
