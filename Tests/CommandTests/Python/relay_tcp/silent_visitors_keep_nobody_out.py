import resource
import socket

from relaying import Relay, upstream
from serving import admin, admin_port, ask
from splicing import arguments, check

most = int(arguments[0])
r = Relay(
    *admin, '--threads', '1',
    upstreams=[upstream()],
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
)
port = admin_port(r)
visitors = [socket.create_connection(('127.0.0.1', port)) for _ in range(100)]
for v in visitors:
    try:
        v.sendall(b'G')
    except OSError:
        pass
client, far = r.pair()
client.sendall(b'x')
check(far.recv(1) == b'x')
check(ask(port, '/healthz') == (200, 'ok\n'))
client.close()
far.close()
check(r.stop() == 0)
