import re
import resource
import signal
import subprocess

from relaying import name, Relay, upstream
from splicing import check, has_nobody, reset, splice, until


def limit(*words, soft=None, upstreams=None, **more):
    r = Relay(
        '--threads', '2', *words,
        upstreams=upstreams or [upstream()],
        preexec_fn=soft and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, 4096))),
        **more,
    )
    line = r.line('limit of simultaneous')
    check(r.stop() == 0)
    return int(re.search(r'connections=(\d+)', line)[1]), line


small, line = limit(soft=256)
large, _ = limit(soft=4096)
check('descriptors=256' in line and 10 < small < 128, line)
check(small * 10 < large < 2048, small, large)
check(limit('--max-connections', '7', soft=256)[0] == 7)
# More than there are descriptors for is said.
check('warning' in limit('--max-connections', '200', soft=256)[1])
check(limit(soft=48)[0] >= 1)
# Too few for the threads themselves: it says so, and is not there.
ended = subprocess.run(
    [splice, 'relay', '--threads', '8', '127.0.0.1:0', name(upstream())],
    stderr=subprocess.PIPE,
    timeout=20,
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)),
)
check(
    ended.returncode == 73
    and (b'too few for 8 threads' in ended.stderr or b'Too many open files' in ended.stderr),
    ended,
)
# As many clients as that are served, each with bytes in flight, and one more waits.
up = upstream(backlog=1000)
r = Relay(
    '--threads', '2',
    upstreams=[up],
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
)
pairs = [r.pair() for _ in range(small)]
for client, far in pairs:
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(1 << 16))
    except BlockingIOError:
        client.setblocking(True)
one_more = r.connect()
until(r.is_asleep, 'all is dealt with')
check(has_nobody(up), 'one more was served')
reset(pairs[0][0])
pairs[0][1].close()
up.accept()
check(not any('cannot take' in line for line in r.log()))
check(r.stop(signal.SIGKILL) == -9)
