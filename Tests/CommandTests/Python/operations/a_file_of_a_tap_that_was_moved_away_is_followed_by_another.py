import os
import signal

from relaying import Relay, upstream
from splicing import check, until

up = upstream()
r = Relay('--tap-upstream', 'seen', upstreams=[up])
if not any('tap begins' in line for line in r.said):
    r.line('tap begins')
client, far = r.pair()
client.sendall(b'first')
check(far.recv(10) == b'first')
until(lambda: open('seen').read() == 'first')
os.rename('seen', 'moved')
r.process.send_signal(signal.SIGHUP)
r.line('tap begins')
client.sendall(b'second')
check(far.recv(10) == b'second')
until(lambda: open('seen').read() == 'second')
# One that was not moved away is not emptied.
r.process.send_signal(signal.SIGHUP)
r.line('tap begins')
client.sendall(b'third')
check(far.recv(10) == b'third')
until(lambda: open('seen').read() == 'secondthird')
check(open('moved').read() == 'first')
client.close()
far.close()
check(r.stop() == 0)
