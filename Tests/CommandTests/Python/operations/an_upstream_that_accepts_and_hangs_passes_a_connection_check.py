import socket
import threading

from relaying import name, Relay, upstream
from serving import admin, admin_port, ask, metric
from splicing import check, until

mute = upstream(backlog=1000)
r = Relay(*admin, '--health-interval', '20ms', '--connect-timeout', '200ms', upstreams=[mute])
port = admin_port(r)
until(
    lambda: (metric(port, 'splice_relay_checks_total{outcome="passed",upstream="%s"}' % name(mute)) or 0) > 5
)
check(ask(port, '/readyz')[0] == 200)
# A full backlog answers nothing: that is down, and over when somebody takes them.
full = upstream(backlog=0)
held = [socket.socket() for _ in range(4)]
for s in held:
    s.setblocking(False)
    s.connect_ex(full.getsockname())
r.stop()
r = Relay(*admin, '--health-interval', '50ms', '--connect-timeout', '100ms', upstreams=[full])
port = admin_port(r)
check('timed out' in r.line('upstream is down'))
for s in held:
    s.close()


def take():
    while True:
        full.accept()[0].close()


threading.Thread(target=take, daemon=True).start()
r.line('upstream is up')
check(r.stop() == 0)
