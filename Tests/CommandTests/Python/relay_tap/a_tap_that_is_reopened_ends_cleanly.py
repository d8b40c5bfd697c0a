import signal
import socket

from relaying import Relay, upstream
from splicing import all_of, check

recorder = socket.create_server(('127.0.0.1', 0))
recorder.settimeout(60)
up = upstream()
r = Relay('--tap-upstream', f'tcp:127.0.0.1:{recorder.getsockname()[1]}', upstreams=[up])
first, _ = recorder.accept()
if not any('tap begins' in line for line in r.said):
    r.line('tap begins')
client, far = r.pair()
client.sendall(b'one')
check(far.recv(10) == b'one')
check(first.recv(10) == b'one')
r.process.send_signal(signal.SIGHUP)
# It has everything.
check(first.recv(10) == b'')
first.close()
second, _ = recorder.accept()
r.line('tap begins')
client.sendall(b'two')
check(far.recv(10) == b'two')
client.close()
far.close()
r.ended()
r.process.send_signal(signal.SIGTERM)
check(all_of(second) == b'two')
second.close()
check(r.process.wait(60) == 0)
