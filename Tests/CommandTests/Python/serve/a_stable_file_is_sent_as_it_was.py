# What is promised of files that are written while they are sent.
import http.client
import os
import threading

from filing import Files
from splicing import all_of, check, until

size = 64 << 20
f = Files('--consistency', 'stable')


def made(name, count=size):
    """A file of zeros, written long ago."""
    with open(name, 'wb') as file:
        file.truncate(count)
    os.utime(name, (1e9, 1e9))
    return name


def cut_off(s, rest):
    """Nothing but zeros of an answer came, and not all of it, which a reset says."""
    count = len(rest)
    check(rest.count(0) == len(rest))
    try:
        while piece := s.recv(1 << 20):
            count += len(piece)
            check(piece.count(0) == len(piece))
    except ConnectionResetError:
        return count < size
    return False


# One that is written under its answer ends the connection, and nothing of what was written is sent: not even
# where the socket had the bytes already.
s, rest = f.begin('/' + made('written'), size)
with open('written', 'r+b') as file:
    file.write(b'x' * size)
check(cut_off(s, rest))
# So does one whose times were put back.
s, rest = f.begin('/' + made('hidden'), size)
with open('hidden', 'r+b') as file:
    file.write(b'x' * size)
os.utime('hidden', (1e9, 1e9))
check(cut_off(s, rest))
# One that is removed or replaced is sent to its end.
for leave in (os.unlink, lambda name: os.rename(made('other'), name)):
    s, rest = f.begin('/' + made('leaves'), size)
    leave('leaves')
    check(len(rest + all_of(s)) == size)
# Small files, parts and several of them.
open('small', 'wb').write(bytes(range(256)) * 40)
os.utime('small', (1e9, 1e9))
check(f.ask('/small')[1] == bytes(range(256)) * 40)
check(f.ask('/small', range='bytes=1-3')[1] == b'\1\2\3')
answer, content = f.ask('/small', range='bytes=1-3,9000-9999')
check(answer.status == 206 and (bytes(range(256)) * 40)[9000:10000] in content)
check(f.ask('/small')[0].headers['etag'].startswith('"'))
# One that is written without a pause has no state that could be promised.
over = threading.Event()


def write():
    with open('log', 'wb') as file:
        while not over.is_set():
            file.write(b'a line\n')
            file.flush()


def refused():
    """Or cut off, where the writer has rested for long enough to be taken for one that is done."""
    try:
        return f.status('/log') == 503
    except (http.client.HTTPException, ConnectionError):
        return False


writer = threading.Thread(target=write, daemon=True)
writer.start()
until(lambda: os.path.exists('log'))
until(refused)
over.set()
writer.join()
until(lambda: f.status('/log') == 200)
check(f.stop() == 0)
