import time

from relaying import Relay, upstream
from resolving import hole, known, resolver
from splicing import check

first = hole(('127.0.0.1', 0))
port = first.getsockname()[1]
holes = ['127.0.0.%d' % n for n in range(2, 32)]
for host in holes:
    hole((host, port))
known(many=['127.0.0.1', *holes])
here = upstream()
r = Relay('--threads', '1', '--connect-timeout', '600ms', upstreams=['many:%d' % port, here], env=resolver)
begin = time.monotonic()
client = r.connect()
far, _ = here.accept()
took = time.monotonic() - begin
check(0.5 < took < 10, 'one timeout', took)
check('timed out' in r.line('upstream is down'))
client.close()
far.close()
check(r.stop() == 0)
