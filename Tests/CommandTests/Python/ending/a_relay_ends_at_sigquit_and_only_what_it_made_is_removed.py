import os
import signal
import socket

from relaying import Relay, upstream
from splicing import check, start

r = Relay(upstreams=[upstream()], listen='unix:r')
check(r.stop(signal.SIGQUIT) == 0 and not any('crashed' in line for line in r.said))
check(not os.path.exists('r'))
# Another has taken the name meanwhile.
p = start('unix-listen:s', 'null:', '--explain')
check(b'listening' in p.stderr.readline())
os.rename('s', 'moved')
open('s', 'w').write('not yours')
p.send_signal(signal.SIGTERM)
check(p.wait(20) == 143)
check(open('s').read() == 'not yours' and os.path.exists('moved'))
# A lost reader ends it by SIGPIPE, which leaves nothing behind either.
p = start('unix-listen:t', '-', '--explain', stdout=(w := os.pipe())[1])
os.close(w[1])
os.close(w[0])
check(b'listening' in p.stderr.readline())
c = socket.socket(socket.AF_UNIX)
c.connect('t')
c.sendall(b'x')
check(p.wait(20) == -signal.SIGPIPE and not os.path.exists('t'), p.returncode)
