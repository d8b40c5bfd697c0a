# A file system (of FUSE, /dev/fuse) that answers late, or not at all, or with an error: who waits for it is no
# slow reader, and hears what it was in the end. What is made while others look for it is found.
import errno
import os
import threading
import time

from filing import Files
from fusing import FileSystem
from splicing import all_of, check, in_thread, inside, until

inside()
# A read takes longer than a client may take to take something.
late = 34
made, looks = threading.Event(), []
errors = {
    errno.ENOENT: 404,
    errno.ENOTDIR: 404,
    errno.ELOOP: 404,
    errno.EACCES: 403,
    errno.EIO: 500,
    errno.ESTALE: 500,
    errno.ETIMEDOUT: 500,
    errno.ENOTCONN: 500,
}


class Late(FileSystem):
    def read(self, node, offset, count):
        if node == 2 and offset <= 1 << 20 < offset + count:
            time.sleep(late)
        return bytes(count)

    def find(self, name):
        if name.isdigit():
            return int(name)
        if name == 'never':
            return None
        if name == 'slow':
            time.sleep(4)
        if name == 'new':
            looks.append(made.is_set())
            if not made.is_set():
                until(made.is_set)
                time.sleep(1.5)
                return errno.ENOENT
        return super().find(name)


os.mkdir('www')
Late('www/disk', {2: ('late', 8 << 20), 3: ('new', 3000), 4: ('slow', 3000)})
f = Files(directory='www')


def read():
    with f.connect() as s:
        s.settimeout(60)
        s.sendall(b'GET /disk/late HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
        return all_of(s).partition(b'\r\n\r\n')[2]


reader = in_thread(read)
began = time.monotonic()
with f.connect() as silent:
    silent.settimeout(60)
    silent.sendall(b'GET /disk/never HTTP/1.1\r\nhost: x\r\n\r\n')
    for error, status in errors.items():
        check(f.status('/disk/%d' % error) == status, errno.errorcode[error])
    # Who asked before it was made may not find it; who asks a second later does.
    early = in_thread(f.status, '/disk/new')
    until(lambda: looks)
    time.sleep(1.1)
    made.set()
    check(f.status('/disk/new') == 200)
    check(early() in (200, 404))
    # What is found is found for all who ask meanwhile.
    first = in_thread(f.status, '/disk/slow')
    time.sleep(2)
    asked = time.monotonic()
    check(f.status('/disk/slow') == 200 and first() == 200)
    check(time.monotonic() - asked < 3.5)
    # An answer that does not come is one, too.
    check(silent.recv(1000).startswith(b'HTTP/1.1 503 '))
    check(time.monotonic() - began < 45)
until(lambda: time.monotonic() - began > late)
check(reader() == bytes(8 << 20))
