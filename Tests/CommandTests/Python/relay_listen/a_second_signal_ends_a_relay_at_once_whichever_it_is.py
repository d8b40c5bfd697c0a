import signal

from relaying import Relay, upstream
from splicing import check

for one, two in [
    (signal.SIGTERM, signal.SIGINT),
    (signal.SIGINT, signal.SIGTERM),
    (signal.SIGQUIT, signal.SIGTERM),
]:
    r = Relay('--drain-timeout', '60s', upstreams=[upstream()])
    client, far = r.pair()
    client.sendall(b'x')
    check(far.recv(1) == b'x')
    r.process.send_signal(one)
    r.line('draining')
    r.process.send_signal(two)
    check(r.process.wait(20) == -two, r.process.returncode)
