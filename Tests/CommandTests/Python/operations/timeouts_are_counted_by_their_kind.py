import socket

from relaying import Relay, upstream
from serving import admin, admin_port, metric
from splicing import check, until

up = upstream()
r = Relay(
    *admin, '--idle-timeout', '1s', '--half-close-timeout', '50ms', '--proxy-in', 'v1',
    '--drain-timeout', '100ms',
    upstreams=[up],
)
port = admin_port(r)


def kind(name):
    return metric(port, 'splice_relay_timeouts_total{kind="%s"}' % name)


def begin():
    c = r.connect()
    c.sendall(b'PROXY UNKNOWN\r\n')
    far, _ = up.accept()
    return c, far


held = begin()
check(r.ended()['why'] == 'idle timeout')
until(lambda: kind('idle') == 1)
c, far = begin()
c.shutdown(socket.SHUT_WR)
check(r.ended()['why'] == 'half-close timeout')
until(lambda: kind('half_close') == 1)
c = r.connect()
c.sendall(b'GET / HTTP/1.1\r\n\r\n')
r.ended()
until(lambda: metric(port, 'splice_relay_refused_total{reason="header"}') == 1)
c = r.connect()
check('PROXY header' in r.ended()['why'])
until(lambda: kind('header') == 1)
check(kind('drain') == 0 and kind('connect') == 0)
check(r.stop() == 0)
