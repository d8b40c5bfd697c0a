import socket
import subprocess

from relaying import Relay
from splicing import check, inside, reset, splice

inside(sysctl={'net/ipv4/ip_local_port_range': '50000 50000'})
s = socket.socket()
s.connect(('127.0.0.1', 50000))
check(s.getsockname() == s.getpeername(), 'this kernel makes none')
reset(s)
r = Relay('--threads', '1', '--health-interval', '50ms', upstreams=['127.0.0.1:50000'], listen='unix:here')
check('Connection refused' in r.line('upstream is down'))
check(r.stop() == 0)
r = Relay('--threads', '1', upstreams=['127.0.0.1:50000'], listen='unix:here')
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
client.connect('here')
check(client.recv(1) == b'')
said = r.ended()
check(said['why'] == 'connect: Connection refused', said)
check(r.stop() == 0)
p = subprocess.run([splice, 'tcp:127.0.0.1:50000', 'null:'], stderr=subprocess.PIPE, timeout=20)
check(p.returncode == 66 and b'Connection refused' in p.stderr, p)
