import os
import socket

from relaying import Relay, upstream
from splicing import check, until

up, held = upstream(), socket.create_server(('127.0.0.1', 0))
pass_on = [
    'strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=none',
    '-e', 'inject=getsockopt:delay_enter=100000', 'bash',
    '-c', 'exec 3<&%d %d<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % (held.fileno(), held.fileno()),
    '-',
]
r = Relay(
    '--tap-upstream', 'exec:ls -l /proc/self/fd >fds; env >env; touch looked; exec cat >/dev/null',
    upstreams=[up],
    listen='systemd',
    wrap=pass_on,
    pass_fds=[held.fileno()],
)
until(lambda: os.path.exists('looked'))
check('socket' not in open('fds').read() and 'LISTEN_' not in open('env').read(), open('fds').read())
