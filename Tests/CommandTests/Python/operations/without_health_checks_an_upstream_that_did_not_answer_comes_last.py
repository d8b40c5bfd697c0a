from relaying import name, Relay, upstream
from serving import admin, admin_port, ask, metric
from splicing import check

up = upstream()
gone = upstream()
where = name(gone)
gone.close()
r = Relay(*admin, '--threads', '1', upstreams=[where, up])
port = admin_port(r)
for _ in range(6):
    client = r.connect()
    far, _ = up.accept()
    far.close()
    client.close()
    r.ended()
# It was tried once, and found to be away.
check(metric(port, 'splice_relay_connect_errors_total{upstream="%s"}' % where) == 1)
check(metric(port, 'splice_relay_upstream_up{upstream="%s"}' % where) == 0)
check(ask(port, '/readyz')[0] == 200)
check(r.stop() == 0)
