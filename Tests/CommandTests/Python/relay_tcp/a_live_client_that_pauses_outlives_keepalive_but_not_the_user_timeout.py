import socket
import time

from relaying import Relay, upstream
from splicing import all_of, check


def begin(seconds, *options):
    r = Relay(*options, '--threads', '1', upstreams=[upstream()])
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(20)
    s.connect(('127.0.0.1', r.port))
    far, _ = r.upstreams[0].accept()
    far.settimeout(20)
    # More than all the buffers between them take.
    far.setblocking(False)
    sent = 0

    def stuck():
        nonlocal sent
        try:
            while True:
                sent += far.send(bytes(1 << 16))
        except BlockingIOError:
            return False
        except OSError:
            return True

    # Longer than a peer is given that does not answer probes. That nothing ends meanwhile is no event,
    # and takes its time.
    since = time.monotonic()
    while time.monotonic() - since < seconds and not stuck():
        time.sleep(0.05)
    return r, s, far, sent


r, client, far, sent = begin(4.5, '--keepalive', '1s')
far.close()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
check(len(all_of(client)) == sent, 'all of it arrives')
client.close()
check(r.ended()['why'] == 'end')
check(r.stop() == 0)
r, client, far, sent = begin(1, '--user-timeout', '1s')
said = r.ended()
check(said['ended'] == 'client' and 'timed out' in said['why'], said)
check(r.stop() == 0)
