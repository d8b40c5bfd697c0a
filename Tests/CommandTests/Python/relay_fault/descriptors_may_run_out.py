import resource
import signal

from relaying import Relay, upstream
from splicing import check, until

r = Relay(
    '--threads', '1', '--max-connections', '1000',
    upstreams=[upstream(400)],
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
)
clients = [r.connect() for _ in range(60)]
r.line('cannot accept connections')
busy = r.busy(1)
check(busy < 0.2, 'it spins', busy)
for c in clients:
    c.close()


# It serves again.
def served():
    try:
        client = r.connect()
        client.sendall(b'here')
        r.upstreams[0].settimeout(1)
        while True:
            far, _ = r.upstreams[0].accept()
            far.settimeout(1)
            if far.recv(4) == b'here':
                return True
    except OSError:
        return False


until(served)
check(r.stop(signal.SIGKILL) == -9)
