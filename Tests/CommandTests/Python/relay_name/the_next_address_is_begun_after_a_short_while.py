import atexit
import subprocess
import time

from relaying import Relay, upstream
from resolving import hole, known, resolver
from splicing import check, splice, until

good = upstream()
port = good.getsockname()[1]
hole(('127.0.0.2', port))
hole(('127.0.0.3', port))
# 127.0.0.4 refuses.
known(many=['127.0.0.2', '127.0.0.4', '127.0.0.3', '127.0.0.1'])
r = Relay('--threads', '1', '--connect-timeout', '30s', upstreams=['many:%d' % port], env=resolver)
for turn in range(3):
    begin = time.monotonic()
    client, far = r.connect(), good.accept()[0]
    took = time.monotonic() - begin
    check(0.4 < took < 15, 'two head starts of 250 ms', took)
    far.settimeout(20)
    client.sendall(b'x')
    check(far.recv(1) == b'x')
    client.close()
    far.close()
    check(r.ended()['why'] == 'end')
# No more descriptors than before: those that lost are closed.
before = r.descriptors()
for turn in range(4):
    client, far = r.connect(), good.accept()[0]
    client.close()
    far.close()
    r.ended()
until(lambda: r.descriptors() <= before, 'descriptors', before, r.descriptors())
check(r.stop() == 0)
# The same for the command.
sink = subprocess.Popen([splice, 'tcp:many:%d' % port, '-'], stdout=subprocess.PIPE, env=resolver)
atexit.register(sink.kill)
begin = time.monotonic()
far, _ = good.accept()
check(time.monotonic() - begin < 15)
far.sendall(b'hello')
far.close()
check(sink.communicate(timeout=20)[0] == b'hello' and sink.returncode == 0)
# All refuse: said at once.
known(many=['127.0.0.%d' % n for n in range(4, 84)])
begin = time.monotonic()
p = subprocess.run([splice, 'tcp:many:%d' % port, '-'], stderr=subprocess.PIPE, env=resolver, timeout=20)
check(
    p.returncode == 66 and b'refused' in p.stderr and time.monotonic() - begin < 15,
    p,
    time.monotonic() - begin,
)
