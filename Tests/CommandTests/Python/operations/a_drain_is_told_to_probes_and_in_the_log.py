import json
import re
import signal

from relaying import Relay, upstream
from serving import admin, admin_port, ask, metric
from splicing import check

up = upstream()
r = Relay(*admin, '--drain-timeout', '60s', '--log-format', 'json', upstreams=[up], says='listening')
port = admin_port(r)
client, far = r.pair()
r.process.send_signal(signal.SIGTERM)
said = json.loads(r.line('draining'))
check(
    said['connections'] == '1'
    and said['level'] == 'notice'
    and re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', said['time']),
    said,
)
check(ask(port, '/readyz') == (503, 'draining\n') and ask(port, '/healthz')[0] == 200)
check(metric(port, 'splice_relay_draining') == 1)
check('draining' in ask(port, '/')[1])
# Progress, every few seconds.
check(json.loads(r.line('draining'))['connections'] == '1')
client.sendall(b'still')
check(far.recv(10) == b'still')
client.close()
check(far.recv(1) == b'')
far.close()
said = json.loads(r.line('"connection"'))
check(said['sent'] == '5' and said['ended'] == 'client' and said['logger'] == 'splice.relay', said)
check(json.loads(r.line('"total"'))['connections'] == '1')
check(r.process.wait(20) == 0)
