import signal

from relaying import Relay, upstream
from splicing import check, has_nobody, until

r = Relay('--max-connections', '2', '--threads', '2', upstreams=[upstream()])
first, second = r.pair(), r.pair()
third = r.connect()
third.sendall(b'I wait')
until(r.is_asleep, 'all is dealt with')
check(has_nobody(r.upstreams[0]), 'a third was served')
first[0].close()
first[1].close()
far, _ = r.upstreams[0].accept()
check(far.recv(10) == b'I wait')
check(r.stop(signal.SIGKILL) == -9)
