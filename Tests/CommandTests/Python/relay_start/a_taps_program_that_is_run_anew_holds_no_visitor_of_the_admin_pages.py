import os
import signal
import socket

from relaying import Relay, upstream
from splicing import check, until

up = upstream()
with socket.create_server(('127.0.0.1', 0)) as free:
    port = free.getsockname()[1]
r = Relay(
    '--admin', '127.0.0.1:%d' % port,
    '--tap-upstream', 'exec:ls -l /proc/self/fd >fds; mv fds looked; exec cat >/dev/null',
    '--tap-downstream', 'exec:cat >/dev/null',
    upstreams=[up],
)
until(lambda: os.path.exists('looked'))
visitor = socket.create_connection(('127.0.0.1', port))
visitor.settimeout(20)
visitor.sendall(b'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
check(b'200' in visitor.recv(10000))
os.unlink('looked')
r.process.send_signal(signal.SIGHUP)
until(lambda: os.path.exists('looked'))
check(
    not any(what in open('looked').read() for what in ['socket', 'eventpoll', 'eventfd']),
    open('looked').read(),
)
# Each tap has numbers of its own, though their words are the same.
visitor.sendall(b'GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
page = b''
while part := visitor.recv(100000):
    page += part
lines = [
    line for line in page.decode().splitlines() if line.startswith('splice_relay_tap_delivered_bytes_total{')
]
check(
    len(lines) == 2
    and all(sum('direction="%s"' % d in line for line in lines) == 1 for d in ['upstream', 'downstream']),
    lines,
)
