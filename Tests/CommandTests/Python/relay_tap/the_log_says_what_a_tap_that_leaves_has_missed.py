import os
import re
import signal
import socket

from relaying import reloadable, upstream
from splicing import all_of, check, in_thread, until

os.mkfifo('go')
up = upstream()
r = reloadable(
    '--admin', 'unix:admin', '--tap-upstream', 'seen',
    '--tap-upstream', 'exec:cat go - >/dev/null; exit 3',
    upstreams=[up],
)


def metric(what, tap):
    s = socket.socket(socket.AF_UNIX)
    s.connect('admin')
    s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
    words = 'splice_relay_tap_%s_bytes_total{direction="upstream",tap="%s"} ' % (what, tap)
    return [int(line[len(words) :]) for line in all_of(s).decode().split('\n') if line.startswith(words)][0]


client, far = r.pair()
piece, total, deaf = bytes(4_000_000), 0, 'exec:cat go - >/dev/null; exit 3'


def missed():
    global total
    sending = in_thread(lambda: client.sendall(piece))
    got = 0
    while got < len(piece):
        got += len(far.recv(1 << 20))
    sending()
    total += got
    return metric('skipped', deaf) > 0


until(missed, 'a tap that does not read misses something')
until(lambda: metric('delivered', 'seen') + metric('skipped', 'seen') == total, 'seen')
r.process.send_signal(signal.SIGHUP)
open('go', 'w').close()


def said(what, tap):
    return [line for line in r.log() if what in line and f'tap={tap}' in line]


for tap in 'seen', 'exec':
    until(lambda: said('tap left', tap), 'each leaves')
    until(lambda: len(said('tap begins', tap)) > 1, 'each begins again')
line = said('tap left', 'exec')[0]
fared = dict(re.findall(r'(delivered|skipped|left)=(\d+)', line))
check('warning' in line and 'reason=ended with status 3' in line and int(fared['skipped']) > 0, line)
check(sum(map(int, fared.values())) == total, line)
client.sendall(b'x')
check(far.recv(1) == b'x')
client.close()
far.close()
check(r.stop() == 0)
until(r.has_said_all)
last = said('tap left', 'seen')[-1]
check('notice' in last and 'delivered=1' in last and 'skipped=0' in last, last)
last = said('tap left', 'exec')[-1]
check('warning' in last and 'act=run' in last and 'reason=ended by signal 15' in last, last)
