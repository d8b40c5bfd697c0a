import socket

from relaying import name, Relay, upstream
from serving import admin, admin_port, ask, metric
from splicing import check, is_cut, until

up, other = upstream(), upstream()
r = Relay(
    *admin, '--health-interval', '50ms', '--half-close-timeout', '100ms', '--health-rise', '2',
    '--health-fall', '2', '--threads', '1',
    upstreams=[up, other],
)
port = admin_port(r)
until(lambda: ask(port, '/readyz') == (200, 'ready\n'))
# Checks are connections that end at once.
c, _ = up.accept()
check(c.recv(1) == b'')
where = other.getsockname()
other.close()
r.line('upstream is down')
check(metric(port, 'splice_relay_upstream_up{upstream="%s:%d"}' % where) == 0)
for _ in range(4):
    client = r.connect()
    client.sendall(b'a')
    while True:
        far, _ = up.accept()
        if far.recv(1):
            break
    far.close()
    client.close()
check(metric(port, 'splice_relay_connections_total{upstream="%s"}' % name(up)) == 4)
check(metric(port, 'splice_relay_connect_errors_total{upstream="%s:%d"}' % where) == 0)
# All down is a state of its own: whoever comes is reset at once, and the probes are told.
place = up.getsockname()
up.close()
r.line('upstream is down')
check(ask(port, '/readyz') == (503, 'no upstream is up\n'), ask(port, '/readyz'))
check(ask(port, '/healthz') == (200, 'ok\n'))
check(is_cut(r.connect))
while r.ended()['why'] != 'no upstream is up':
    pass
check(metric(port, 'splice_relay_refused_total{reason="none_up"}') == 1)
back = socket.create_server(place)
r.line('upstream is up')
until(lambda: ask(port, '/readyz')[0] == 200)
client = r.connect()
client.sendall(b'again')
back.settimeout(20)
while True:
    far, _ = back.accept()
    if far.recv(5) == b'again':
        break
client.close()
far.close()
check(r.stop() == 0)
