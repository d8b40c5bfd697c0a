import os
import signal
import socket
import subprocess

from broadcasting import exactly, head_of
from splicing import all_of, check, splice

# As systemd does it: the address is there before the broadcast, and is told to it by its number.
held = socket.create_server(('127.0.0.1', 0))
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind('notify')
told.settimeout(20)
viewer = socket.create_connection(held.getsockname())
viewer.settimeout(20)
viewer.sendall(b'GET /live HTTP/1.1\r\nhost: a\r\n\r\n')
source, ours = socket.socketpair()
words = [
    'bash', '-c', 'exec 3<&%d 4<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % (held.fileno(), ours.fileno()), '-',
    splice, 'broadcast', 'fd:4', '--http', 'systemd', '--record', 'show', '--drain-timeout', '20s',
]
p = subprocess.Popen(
    words, stderr=subprocess.PIPE, pass_fds=[held.fileno(), ours.fileno()], env={**os.environ, 'NOTIFY_SOCKET': 'notify'}
)
ours.close()
check(told.recv(1000) == b'READY=1')
check(head_of(viewer).startswith(b'HTTP/1.1 200 OK'))
source.sendall(b'the stream')
check(exactly(viewer, 10) == b'the stream')
p.send_signal(signal.SIGTERM)
check(told.recv(1000) == b'STOPPING=1')
check(all_of(viewer) == b'')
check(p.wait(20) == 0, p.stderr.read())
check(open('show', 'rb').read() == b'the stream')
