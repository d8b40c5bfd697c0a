# SIGTERM while fifty clients download one file after the other: each answer that has begun arrives whole, and
# the command ends well and in time.
import os
import signal
import socket
import threading

from filing import Files
from splicing import check, in_thread

size, count = 8 << 20, 50
whole = os.urandom(1 << 20) * (size >> 20)
open('f', 'wb').write(whole)
# Long enough for a machine that does much else.
f = Files('--drain-timeout', '120s')
begun = threading.Semaphore(0)


def downloads(number):
    """Downloads until the server takes no more; how many were whole. None are cut."""
    s, got = None, b''
    for done in range(10_000):
        try:
            if s is None:
                s = socket.socket()
                # Of an answer most is always still to be sent.
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
                s.settimeout(20)
                s.connect(('127.0.0.1', f.port))
            s.sendall(b'GET /f HTTP/1.1\r\nhost: x\r\n\r\n')
            got = s.recv(1 << 16)
        except ConnectionError:
            got = b''
        if not got:
            return done
        if done == 1:
            begun.release()
        while b'\r\n\r\n' not in got:
            more = s.recv(1 << 16)
            check(more, 'cut in its head', got)
            got += more
        head, content = got.split(b'\r\n\r\n', 1)
        check(head.startswith(b'HTTP/1.1 200 ') and b'content-length: %d' % size in head, head)
        content = bytearray(content)
        while len(content) < size:
            more = s.recv(min(1 << 20, size - len(content)))
            check(more, 'cut', len(content))
            content += more
        check(content == whole, 'other bytes')
        # One half have a connection for each file.
        if number % 2 or b'connection: close' in head:
            s.close()
            s = None


joins = [in_thread(downloads, number) for number in range(count)]
# Each has one, and gets another.
for _ in range(count):
    check(begun.acquire(timeout=60))
f.process.send_signal(signal.SIGTERM)
f.line('draining')
check(sum(join(120) for join in joins) >= count)
check(f.process.wait(60) == 0)
