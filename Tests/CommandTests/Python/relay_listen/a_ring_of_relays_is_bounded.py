import re
import resource
import signal
import socket
import time

from relaying import Relay
from splicing import check, until

s = socket.socket()
s.bind(('127.0.0.1', 0))
port = s.getsockname()[1]
s.close()
most = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
words = ['--threads', '1', '--drain-timeout', '1s', '--health-interval', '50ms']
one = Relay(*words, upstreams=['127.0.0.1:%d' % port], preexec_fn=most)
two = Relay(*words, upstreams=['127.0.0.1:%d' % one.port], listen='127.0.0.1:%d' % port, preexec_fn=most)
limit = int(re.search(r'connections=(\d+)', one.line('limit of simultaneous'))[1])


def goes_round():
    # Until a check has seen that the other one is there, clients are reset.
    s = one.connect()
    try:
        s.sendall(b'round')
        until(lambda: one.is_asleep() and two.is_asleep(), 'dealt with')
        s.sendall(b'and round')
    except OSError:
        return None
    return s


clients = []
until(lambda: clients.append(goes_round()) or clients[-1], 'a client')
until(lambda: max(one.descriptors(), two.descriptors()) >= 2 * limit, 'full')
check(one.descriptors() < 256 and two.descriptors() < 256)
begin = time.monotonic()
for r in (one, two):
    r.process.send_signal(signal.SIGTERM)
for r in (one, two):
    check(r.process.wait(20) == 0)
    until(r.has_said_all)
    check(not any('cannot take' in line for line in r.log()), 'descriptors ran out')
check(time.monotonic() - begin < 15, 'the drain')
