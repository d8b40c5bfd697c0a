from relaying import Relay, upstream
from splicing import check, until

r = Relay(upstreams=[upstream()])
check('warning' in r.line('no idle timeout') and '--idle-timeout' in r.said[-1], r.said)
check(r.stop() == 0)
r = Relay('--idle-timeout', '1h', upstreams=[upstream()])
check(r.stop() == 0)
until(r.has_said_all)
check(not any('idle timeout' in l for l in r.log()))
