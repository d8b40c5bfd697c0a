import socket
import time

from relaying import Relay, upstream
from splicing import check

back = upstream(family=socket.AF_UNIX, where='back')
hole = 'ip link set lo up && ip route add 192.0.2.0/24 dev lo && exec "$@"'
r = Relay(
    '--connect-timeout', '300ms',
    upstreams=['192.0.2.9:80', 'unix:back'],
    listen='unix:front',
    wrap=['unshare', '-rn', 'sh', '-c', hole, 'sh'],
)
for _ in range(2):
    start = time.monotonic()
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect('front')
    far, _ = back.accept()
    client.sendall(b'hello')
    check(far.recv(5) == b'hello')
    client.close()
    far.close()
    said = r.ended()
    check(said['upstream'] == 'unix:back', said)
    # One of the two was begun with the hole.
    check(time.monotonic() - start < 5, 'it took too long')
check(r.stop() == 0)
