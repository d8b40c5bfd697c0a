import socket

from relaying import Relay, upstream
from serving import admin, admin_port, ask
from splicing import all_of, check, reset

r = Relay(*admin, '--threads', '1', upstreams=[upstream()])
port = admin_port(r)
living = socket.create_connection(('127.0.0.1', port))
living.settimeout(20)
for _ in range(80):
    v = socket.create_connection(('127.0.0.1', port))
    v.sendall(b'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n')
    reset(v)
check(ask(port, '/healthz')[0] == 200)
living.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
check(all_of(living).endswith(b'ok\n'))
check(r.stop() == 0)
