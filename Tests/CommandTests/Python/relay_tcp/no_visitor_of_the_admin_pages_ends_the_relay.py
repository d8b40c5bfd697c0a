import re
import socket

from relaying import Relay, upstream
from serving import admin, admin_port, ask
from splicing import all_of, check, reset

r = Relay(*admin, '--threads', '1', upstreams=[upstream()])
port = admin_port(r)
client, far = r.pair()
for n in range(60):
    v = socket.create_connection(('127.0.0.1', port))
    v.settimeout(20)
    v.sendall(
        b'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n' * (40 if n % 2 else 17)
        + (b'' if n % 3 else b'GET / HTTP/1.0\r\n\r\n')
    )
    if n % 3 == 0:
        check(len(re.findall(rb'HTTP/1\.1 200', all_of(v))) >= 16)
        v.close()
    elif n % 3 == 1:
        reset(v)
    else:
        v.close()
check(ask(port, '/healthz')[0] == 200)
client.sendall(b'x')
check(far.recv(1) == b'x')
client.close()
far.close()
check(r.stop() == 0)
