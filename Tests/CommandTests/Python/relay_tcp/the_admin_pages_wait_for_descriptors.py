import resource
import signal
import socket

from relaying import Relay, upstream
from serving import admin, admin_port
from splicing import all_of, check, reset

r = Relay(
    *admin, '--threads', '1', '--max-connections', '1000', '--log-level', 'warning',
    upstreams=[upstream(400)],
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)),
)
port = admin_port(r)
clients = [r.connect() for _ in range(80)]
r.line('cannot accept connections')
visitors = [socket.create_connection(('127.0.0.1', port)) for _ in range(3)]
for s in visitors:
    s.settimeout(20)
    s.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
busy = r.busy(1.5)
check(busy < 0.3, 'it spins', busy)
for c in clients:
    reset(c)
# Those who have waited are answered.
for s in visitors:
    check(all_of(s).endswith(b'ok\n'))
check(r.stop(signal.SIGKILL) == -9)
