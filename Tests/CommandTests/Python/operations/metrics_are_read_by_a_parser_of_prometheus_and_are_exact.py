import os
import sys

from relaying import Relay, upstream
from serving import admin, admin_port, ask
from splicing import check, in_thread, is_reset, reset, until

sys.path.append('/usr/lib/python3/dist-packages')  # the distribution's, whichever python this is
from prometheus_client.parser import text_string_to_metric_families

up = upstream()
r = Relay(*admin, '--log-level', 'warning', '--pipe-budget', '8M', '--threads', '1', upstreams=[up])
port = admin_port(r)


def families():
    return {f.name: f for f in text_string_to_metric_families(ask(port, '/metrics')[1])}


def value(name, **labels):
    return sum(
        s.value
        for f in families().values()
        for s in f.samples
        if s.name == name and labels.items() <= s.labels.items()
    )


client, far = r.pair()
content = os.urandom(5_000_000)
sent = in_thread(lambda: (client.sendall(content), client.sendall(b'!' * 100)))
got = b''
while len(got) < 5_000_100:
    got += far.recv(1 << 20)
far.sendall(b'answer')
check(client.recv(100) == b'answer')
# While the connection is open, to the byte.
until(lambda: value('splice_relay_bytes_total', direction='received') == 6)
until(lambda: value('splice_relay_bytes_total', direction='sent') == 5_000_100)
check(
    value('splice_relay_bytes_total', path='splice') > 4_000_000,
    value('splice_relay_bytes_total', path='splice'),
)
check(value('splice_relay_clients') == 1 and value('splice_relay_upstream_connections') == 1)
check(value('splice_relay_pipe_budget_bytes') == 8 << 20 and value('splice_relay_draining') == 0)
reset(client)
check(is_reset(far))
until(lambda: value('splice_relay_clients') == 0)
check(
    value('splice_relay_resets_total', by='client') == 1
    and value('splice_relay_resets_total', by='upstream') == 0
)
check(value('splice_relay_connections_total') == 1 and value('splice_relay_accepted_total') == 1)
check(value('splice_relay_connect_seconds_count') == 1 and 0 < value('splice_relay_connect_seconds_sum') < 20)
# A counter's name is without its `_total` for some: two metrics must not become one.
check(len(families()) == ask(port, '/metrics')[1].count('# TYPE'))
for name, family in families().items():
    check(family.documentation, 'nothing is said of', name)
    check(family.type in ('counter', 'gauge', 'histogram'), name, family.type)
check(r.stop() == 0)
