# A file system of which one file is never read to its end (of FUSE, /dev/fuse): whoever asks for that file
# waits, and everybody else is answered, also with other files of that file system. SIGTERM ends the command
# in time, and nothing but what the file has was sent.
import ctypes
import os
import struct
import threading
import time

from filing import Files
from splicing import check, in_thread, inside, until

inside()
files = {2: ('stuck', 4 << 20), 3: ('fine', 300_000)}
content = {number: os.urandom(size) for number, (_, size) in files.items()}
# So much of the first file is read; the reads of what follows are never answered, and counted here.
read, unanswered = 1 << 20, []


class FileSystem:
    """A directory with these files, of which the first stalls after its first MiB."""

    def __init__(self, place):
        self.device = os.open('/dev/fuse', os.O_RDWR)
        os.makedirs(place)
        options = b'fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other' % self.device
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.mount(b'test', place.encode(), b'fuse', 0, options)
        check(done == 0, os.strerror(ctypes.get_errno()))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError:
                return
            _, what, unique, node = struct.unpack_from('IIQQ', request)
            # FORGET, INTERRUPT and BATCH_FORGET have no answer.
            if what in (2, 36, 42):
                continue
            error, out = self.do(what, node, request[40:])
            if error is None:
                unanswered.append(unique)
            else:
                os.write(self.device, struct.pack('IiQ', 16 + len(out), error, unique) + out)

    def attributes(self, node):
        """The `fuse_attr` of the kernel."""
        mode, size = (0o40755, 0) if node == 1 else (0o100644, files[node][1])
        times = 10**9, 10**9, 10**9, 0, 0, 0
        return struct.pack('QQQQQQIIIIIIIIII', node, size, 8, *times, mode, 1, 0, 0, 0, 4096, 0)

    def do(self, what, node, words):
        """The answer to a request: an error, and what follows it; no error for one that is never answered."""
        if what == 26:  # INIT
            major, minor, ahead, _ = struct.unpack_from('IIII', words)
            return 0, struct.pack('IIIIHHIIHHI', 7, 31, ahead, 1, 16, 12, 1 << 17, 1, 32, 0, 0) + bytes(24)
        if what == 1:  # LOOKUP
            for number, (name, _) in files.items():
                if words == name.encode() + b'\0':
                    return 0, struct.pack('QQQQII', number, 0, 0, 0, 0, 0) + self.attributes(number)
            return -2, b''
        if what == 3:  # GETATTR
            return 0, struct.pack('QII', 0, 0, 0) + self.attributes(node)
        if what == 14:  # OPEN, which keeps the page cache: else it would wait for what is being read
            return 0, struct.pack('QII', 0, 2, 0)
        if what == 15:  # READ
            _, offset, count = struct.unpack_from('QQI', words)
            if node == 2 and offset + count > read:
                return None, b''
            return 0, content[node][offset : offset + count]
        if what in (18, 25, 38):  # RELEASE, FLUSH, DESTROY
            return 0, b''
        return -38, b''


os.mkdir('www')
FileSystem('www/disk')
open('www/a', 'w').write('content')
whole = os.urandom(5_000_000)
open('www/b', 'wb').write(whole)
f = Files('--drain-timeout', '2s', directory='www')
check(f.ask('/disk/fine')[1] == content[3])


def waits():
    """Asks for the file, and takes what comes until the connection ends."""
    s, got = f.connect(), b''
    s.settimeout(60)
    s.sendall(b'GET /disk/stuck HTTP/1.1\r\nhost: x\r\n\r\n')
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


joins = [in_thread(waits)]
until(lambda: unanswered)
others_are_answered()
# More of them than there usually are threads for disks.
joins += [in_thread(waits) for _ in range(16)]
until(lambda: f.sockets() >= 17)
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
