import signal

from relaying import Relay, upstream

r = Relay(upstreams=[upstream()])
print(r.process.pid, flush=True)
signal.setitimer(signal.ITIMER_REAL, 0.1)
r.process.wait()
