import resource
import socket

from draining import drain
from relaying import Relay, upstream
from splicing import check

up = upstream()
r = Relay(
    '--threads', '2', '--max-connections', '1000', '--drain-timeout', '6s', upstreams=[up], listen='unix:here'
)


def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(3)
    s.connect('here')
    return s


first = connect()
first.sendall(b'x')
far, _ = up.accept()
check(far.recv(1) == b'x')
resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (r.descriptors(), r.descriptors()))
queued = [connect() for _ in range(20)]
r.line('cannot accept connections')
drain(r, first, far, queued)
