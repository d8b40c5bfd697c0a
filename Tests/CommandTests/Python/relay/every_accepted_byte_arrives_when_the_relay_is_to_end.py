import os
import signal

from relaying import Relay, upstream
from splicing import all_of, check, in_thread, reset, until

r = Relay('--drain-timeout', '20s', upstreams=[upstream()])
content = os.urandom(8_000_000)
pairs = [r.pair() for _ in range(4)]
senders = [in_thread(lambda c=c: (c.sendall(content), c.shutdown(1))) for c, _ in pairs]
readers = [in_thread(all_of, far) for _, far in pairs[:3]]
r.process.send_signal(signal.SIGTERM)


# Nobody else is taken.
def refused():
    try:
        reset(r.connect())
        return False
    except OSError:
        return True


until(refused, 'refused')
check(all(read() == content for read in readers))
readers = [in_thread(all_of, pairs[3][1])]
check(readers[0]() == content)
for client, far in pairs:
    far.close()
    client.close()
check(r.process.wait(20) == 0)
