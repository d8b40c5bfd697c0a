import re
import socket

from relaying import Relay, upstream
from serving import admin, admin_port
from splicing import all_of, check

r = Relay(*admin, '--threads', '1', upstreams=[upstream()])
v = socket.create_connection(('127.0.0.1', admin_port(r)))
v.settimeout(20)
v.sendall(
    b''.join(b'GET /%s HTTP/1.1\r\nHost: a\r\n\r\n' % p for p in [b'healthz', b'nowhere', b'readyz'])
    + b'HEAD /healthz HTTP/1.0\r\n\r\n'
)
got = all_of(v)
check(re.findall(rb'HTTP/1\.1 (\d+)', got) == [b'200', b'404', b'200', b'200'], got)
check(r.stop() == 0)
