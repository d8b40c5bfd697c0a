import select
import socket
import tempfile
import time

from relaying import Relay, upstream
from splicing import arguments, check

family = socket.AddressFamily[arguments[0]]

unix = family == socket.AF_UNIX
d = tempfile.mkdtemp()
u = upstream(family=socket.AF_UNIX, where=d + '/u')
r = Relay(
    '--threads', '1', upstreams=['unix:' + d + '/u'], listen='unix:' + d + '/l' if unix else '127.0.0.1:0'
)
for number in range(3):
    if unix:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(d + '/l')
    else:
        client = r.connect()
    far, _ = u.accept()
    client.sendall(b'request')
    check(far.recv(7, socket.MSG_PEEK) == b'request')
    far.setblocking(False)
    sent = 0
    # As much as is taken while nobody reads.
    while sent < 4_000_000 and select.select([], [far], [], 0.5)[1]:
        sent += far.send(b'a' * 16384)
    check(sent > 200_000, sent)
    far.close()
    got, reset = 0, unix
    try:
        while d2 := client.recv(30_000):
            got += len(d2)
            # A reader that is slow.
            time.sleep(0.001)
    except ConnectionResetError:
        reset = True
    # Who left something unread may have been killed while it answered.
    check(got == sent and reset, number, got, sent, reset)
    client.close()
check(r.stop() == 0)
