import signal
import subprocess

from relaying import Relay, upstream
from splicing import check, is_reset, until

r = Relay('--drain-timeout', '200ms', upstreams=[upstream()])
client, far = r.pair()
check(r.stop() == 0)
check(is_reset(client) and is_reset(far))
check(r.ended()['why'] == 'drain timeout')
# A second signal does not wait for anybody.
for number, again in [(signal.SIGTERM, -15), (signal.SIGINT, -2)]:
    r = Relay('--drain-timeout', '60s', upstreams=[upstream()])
    client, far = r.pair()
    r.process.send_signal(number)
    until(lambda: open('/proc/%d/status' % r.process.pid).read().count('SigCgt') == 1, 'alive')

    def ends():
        r.process.send_signal(number)
        try:
            return r.process.wait(0.05) is not None
        except subprocess.TimeoutExpired:
            return False

    until(ends, 'the second signal')
    check(r.process.returncode == again, r.process.returncode)
