import resource

from relaying import Relay, upstream
from resolving import hole, known, resolver
from splicing import check, in_thread

good = upstream(400)
port = good.getsockname()[1]
hole(('127.0.0.2', port))
hole(('127.0.0.3', port))
known(many=['127.0.0.2', '127.0.0.3', '127.0.0.1'])
r = Relay(
    '--threads', '1', '--connect-timeout', '20s',
    upstreams=['many:%d' % port],
    env=resolver,
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150)),
)
clients = [r.connect() for _ in range(40)]
for c in clients:
    c.sendall(b'x')


def serve():
    for _ in clients:
        far, _ = good.accept()
        far.settimeout(20)
        far.recv(1)
        far.sendall(b'y')
        far.close()


served = in_thread(serve)
for c in clients:
    check(c.recv(1) == b'y')
    c.close()
served()
check(r.stop() == 0)
check(not [line for line in r.said if 'upstream is down' in line], r.said)
