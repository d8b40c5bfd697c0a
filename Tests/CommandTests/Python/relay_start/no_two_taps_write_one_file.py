import os
import signal
import socket

from relaying import Relay, upstream
from splicing import check, until

up = upstream()
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.bind('ready')
ready.settimeout(20)
r = Relay(
    '--tap-upstream', 'one', '--tap-downstream', 'two',
    upstreams=[up],
    env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')},
)
check(b'READY=1' in ready.recv(1000))
# Made one while it runs, the later one is told of and waits until they are two again.
os.unlink('two')
os.link('one', 'two')
r.process.send_signal(signal.SIGHUP)
line = r.line('is a sink already')
check('warning' in line and 'act=open' in line, line)
os.unlink('one')
os.unlink('two')
r.process.send_signal(signal.SIGHUP)
until(lambda: os.path.exists('one') and os.path.exists('two'))
client, far = r.pair()
client.sendall(b'sent')
check(far.recv(4) == b'sent')
far.sendall(b'answered')
check(client.recv(8) == b'answered')
until(lambda: open('one').read() == 'sent' and open('two').read() == 'answered', 'each has its own')
client.close()
far.close()
check(r.stop() == 0)
