from relaying import Relay, upstream
from splicing import check

up = upstream()
r = Relay(
    '--tap-upstream', 'seen', '--tap-upstream', 'exec:exec cat >piped',
    '--tap-downstream', 'missing/directory',
    upstreams=[up],
)
client, far = r.pair()
client.sendall(b'first')
check(far.recv(5) == b'first')
client.close()
far.close()
check(r.stop() == 0)
check(open('seen').read() == 'first' and open('piped').read() == 'first')
