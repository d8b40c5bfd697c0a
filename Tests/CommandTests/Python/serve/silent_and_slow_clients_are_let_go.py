import time

from filing import Files
from splicing import all_of, check, in_thread, until

open('a', 'w').write('content')
f = Files('--max-connections-per-client', '50')
began = time.monotonic()
silent, slow = f.connect(), f.connect()
slow.sendall(b'GET /a HT')
stayed = f.connect()
stayed.sendall(b'GET /a HTTP/1.1\r\nhost: x\r\n\r\n')
check(b'content' in stayed.recv(1000))
stayed.sendall(b'GET /a HT')


def drip():
    try:
        for byte in b'TP/1.1\r\nx: ' + b'a' * 200:
            slow.sendall(bytes([byte]))
            time.sleep(0.2)
    except OSError:
        pass


dripping = in_thread(drip)
check(all_of(silent).startswith(b'HTTP/1.1 408 ') and time.monotonic() - began > 9)
check(all_of(slow).startswith(b'HTTP/1.1 408 '))
check(all_of(stayed).startswith(b'HTTP/1.1 408 '))
check(time.monotonic() - began < 18)
for s in silent, slow, stayed:
    s.close()
dripping()
# Its socket for clients is left.
until(lambda: f.sockets() == 1)
# More than a client may have are refused, and have their place when others have left.
many = [f.connect() for _ in range(60)]
refused = 0
for s in many:
    try:
        s.sendall(b'GET /a HTTP/1.1\r\nhost: x\r\n\r\n')
        refused += s.recv(1000) == b''
    except ConnectionError:
        refused += 1
check(refused == 10, refused)
for s in many:
    s.close()


def is_served():
    try:
        return f.status('/a') == 200
    except OSError:
        return False


until(is_served)
check(f.stop() == 0)
# Nor are there more of all clients than there may be.
f = Files('--max-connections', '5')
many = [f.connect() for _ in range(5)]
for s in many:
    s.sendall(b'GET /a HTTP/1.1\r\nhost: x\r\n\r\n')
    check(b'content' in s.recv(1000))
late = f.connect()
late.settimeout(0.5)
try:
    late.sendall(b'GET /a HTTP/1.1\r\nhost: x\r\n\r\n')
    check(late.recv(1000) == b'')
except (TimeoutError, ConnectionError):
    pass
for s in many:
    s.close()
until(is_served)
check(f.stop() == 0)
