import json
import os
import time

from relaying import name, Relay, upstream
from serving import admin, admin_port, metric
from splicing import check, preloading, until

open('jump', 'w').write('0')
up = upstream()
r = Relay(
    *admin, '--idle-timeout', '600s', '--health-interval', '50ms', '--log-format', 'json',
    upstreams=[up],
    env=preloading(os.path.join(os.path.dirname(__file__), 'jump.c')),
)
port = admin_port(r)


def pair():
    c = r.connect()
    c.sendall(b'.')
    while True:
        far, _ = up.accept()
        far.settimeout(20)
        if far.recv(1):
            return c, far


def checks():
    return metric(port, 'splice_relay_checks_total{outcome="passed",upstream="%s"}' % name(up))


client, far = pair()
for jump in ['400', '-400']:
    open('new', 'w').write(jump)
    os.rename('new', 'jump')
    was = checks()
    until(lambda: checks() > was + 3, 'checks')
    client.sendall(jump.encode())
    check(far.recv(10) == jump.encode())
    c, f = pair()
    c.close()
    f.close()
    said = json.loads(r.line('"connection"'))
    check(abs(int(said['time'][:4]) - time.gmtime().tm_year) in (1, 2), 'the clock has not jumped', said)
    check(float(said['seconds']) < 60, said)
client.close()
far.close()
check(r.stop() == 0)
