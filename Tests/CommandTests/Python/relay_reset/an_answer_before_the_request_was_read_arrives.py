import socket
import tempfile
import time

from relaying import Relay, upstream
from splicing import arguments, check, in_thread, unread, until

family = socket.AddressFamily[arguments[0]]

unix = family == socket.AF_UNIX
where = tempfile.mkdtemp() + '/s' if unix else ('127.0.0.1', 0)
u = upstream(family=family, where=where)
r = Relay('--threads', '1', upstreams=['unix:' + where if unix else u])
for number in range(20):
    client = r.connect()
    far, _ = u.accept()
    size = 5000 if unix else 400_000
    sending = in_thread(lambda: far.sendall(b'a' * size))
    got = client.recv(1)
    sending()
    # Nothing of it is left with the upstream, whose own end would throw it away.
    until(lambda: unread(far) == 0, 'unread', number)
    client.sendall(b'x' * 10)
    client.sendall(b'y' * 10)
    far.close()
    until(r.is_asleep, 'it has seen that')
    try:
        client.sendall(b'z' * 100)
    except ConnectionError:
        pass
    try:
        while d := client.recv(30_000):
            got += d
            # A reader that is slow.
            time.sleep(0.002)
    except ConnectionError:
        pass
    check(len(got) == size, number, len(got))
    client.close()
check(r.stop() == 0)
