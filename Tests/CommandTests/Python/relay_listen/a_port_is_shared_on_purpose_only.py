import subprocess

from relaying import name, Relay, upstream
from splicing import check, splice

up = upstream()
for threads in ['1', '3']:
    one = Relay('--threads', threads, upstreams=[up])
    where = '127.0.0.1:%d' % one.port
    for more in [[], ['--reuse-port']]:
        # Also one that would share it does not come in beside one that has a single socket.
        if more and threads == '3':
            continue
        other = subprocess.run([splice, 'relay', *more, where, name(up)], stderr=subprocess.PIPE, timeout=20)
        check(other.returncode == 73 and b'Address already in use' in other.stderr, other)
    client, far = one.pair()
    client.close()
    far.close()
    check(one.stop() == 0)
    one = Relay('--threads', threads, '--reuse-port', upstreams=[up])
    two = Relay('--threads', threads, '--reuse-port', upstreams=[up], listen='127.0.0.1:%d' % one.port)
    check(two.port == one.port and one.stop() == 0)
    client, far = two.pair()
    client.close()
    far.close()
    check(two.stop() == 0)
