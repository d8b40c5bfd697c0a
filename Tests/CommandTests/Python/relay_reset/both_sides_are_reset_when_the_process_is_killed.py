import signal
import socket

from relaying import Relay, upstream
from splicing import arguments, check, is_reset

inherited = arguments[0] == 'true'


def begin():
    if not inherited:
        return Relay('--drain-timeout', '60s', upstreams=[upstream()])
    held = socket.create_server(('127.0.0.1', 0))
    pass_on = ['bash', '-c', 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % held.fileno(), '-']
    r = Relay(
        '--drain-timeout', '60s',
        upstreams=[upstream()],
        listen='systemd',
        wrap=pass_on,
        pass_fds=[held.fileno()],
    )
    r.held = held
    return r


for number in [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]:
    for bulk in [False, True]:
        r = begin()
        client, far = r.pair()
        client.sendall(b'half')
        check(far.recv(4) == b'half')
        far.sendall(b'half')
        check(client.recv(4) == b'half')
        half_closed, other = r.pair()
        half_closed.shutdown(1)
        check(other.recv(1) == b'')
        if bulk:
            # Both directions are full.
            for s in (client, far):
                s.setblocking(False)
                try:
                    while True:
                        s.send(bytes(1 << 20))
                except BlockingIOError:
                    s.settimeout(20)
        r.process.send_signal(number)
        if number != signal.SIGKILL:
            r.line('draining')
            r.process.send_signal(number)
        check(r.process.wait(20) == -number)
        check(is_reset(client) and is_reset(far) and is_reset(half_closed), number, bulk)
