import signal
import socket

from relaying import Relay, upstream
from splicing import check, inside, is_cut

inside(sysctl={'net/ipv4/ip_local_port_range': '50000 50001'})
up = upstream(where=('127.0.0.1', 4000))
r = Relay('--threads', '1', '--max-connections', '10', upstreams=[up], listen='127.0.0.1:4001')


def connect(port):
    s = socket.socket()
    s.bind(('127.0.0.1', port))
    s.settimeout(20)
    s.connect(('127.0.0.1', 4001))
    return s


held = []
for port in range(3000, 3002):
    held.append((connect(port), up.accept()[0]))
    held[-1][0].sendall(b'x')
    check(held[-1][1].recv(1) == b'x')
check(is_cut(lambda: connect(3002)))
said = r.ended()
check(said['ended'] == 'relay' and said['why'] == 'connect: Cannot assign requested address', said)
check(not any('is down' in line for line in r.log()))
check(r.stop(signal.SIGKILL) == -9)
