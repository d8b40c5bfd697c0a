import os
import socket
import subprocess

from relaying import Relay
from splicing import check, splice

s = socket.socket()
s.bind(('127.0.0.1', 0))
port = s.getsockname()[1]
s.close()


def ends(listen, upstream):
    return subprocess.run([splice, 'relay', listen, upstream], stderr=subprocess.PIPE, timeout=20)


for listen, upstream in [
    ('127.0.0.1:P', '127.0.0.1:P'),
    ('P', 'localhost:P'),
    ('0.0.0.0:P', '127.0.0.1:P'),
    ('0.0.0.0:P', '127.0.0.9:P'),
    ('127.0.0.1:P', '0.0.0.0:P'),
    ('[::]:P', '127.0.0.1:P'),
    ('[::]:P', '[::1]:P'),
    ('[::1]:P', '[::]:P'),
    ('127.0.0.1:P', '[::ffff:127.0.0.1]:P'),
    ('unix:here', 'unix:./here'),
    ('unix:@splice-own-P', 'unix:@splice-own-P'),
]:
    p = ends(listen.replace('P', str(port)), upstream.replace('P', str(port)))
    check(p.returncode == 64 and p.stderr.count(b'\n') == 1 and b'itself' in p.stderr, listen, upstream, p)
check(not os.path.lexists('here'))
# Somebody else's, as near as can be.
for listen, upstream in [
    ('127.0.0.1:P', '127.0.0.2:P'),
    ('0.0.0.0:P', '192.0.2.1:P'),
    ('[::1]:P', '127.0.0.1:P'),
    ('unix:here', 'unix:there'),
]:
    r = Relay(upstreams=[upstream.replace('P', str(port))], listen=listen.replace('P', str(port)))
    check(r.stop() == 0)
