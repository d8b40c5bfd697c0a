import os
import signal

from relaying import reloadable, upstream
from splicing import check, until

up = upstream()
r = reloadable('--tap-upstream', 'seen', upstreams=[up])
client, far = r.pair()
client.sendall(b'first')
check(far.recv(5) == b'first')
until(lambda: open('seen').read() == 'first')
r.process.send_signal(signal.SIGTERM)
r.line('draining')
os.rename('seen', 'moved')
r.process.send_signal(signal.SIGHUP)
until(lambda: os.path.exists('seen'))
r.line('tap begins')
client.sendall(b'second')
check(far.recv(6) == b'second')
client.close()
far.close()
check(r.process.wait(20) == 0)
check(open('seen').read() == 'second' and open('moved').read() == 'first')
