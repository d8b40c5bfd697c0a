from broadcasting import Broadcast, exactly
from serving import admin, admin_port, ask, metric
from splicing import check, until

b = Broadcast(*admin, '--record', 'show', '--content-type', 'audio/mpeg')
port = admin_port(b)
check(ask(port, '/readyz') == (200, 'ready\n'))
check(metric(port, 'splice_broadcast_source_connected{mount="/live"}') == 0)
viewer, other, sender = b.viewer(), b.viewer(), b.sender()
sender.sendall(b'x' * 100_000)
exactly(viewer, 100_000)
exactly(other, 100_000)
other.close()
b.left()


def now(name):
    return metric(port, 'splice_broadcast_%s{mount="/live"}' % name)


check(now('viewers_now') == 1 and now('viewers_total') == 2)
check(now('source_connected') == 1 and now('recording') == 1)
until(lambda: now('recorded_bytes_total') == 100_000)
check(now('source_bytes_total') == 100_000)
check(now('delivered_bytes_total') == 200_000)
check(now('skipped_bytes_total') in (0, None))
check('splice_broadcast_lag_bytes_bucket{' in ask(port, '/metrics')[1])
status, page = ask(port, '/')
for words in ['splice broadcast', 'Viewers', 'Recording', 'show', '127.0.0.1:%d/live' % b.http]:
    check(words in page, words)
check('<audio controls preload="none" data-port="%d" data-path="/live">' % b.http in page, page)
check(b.stop() == 0)
