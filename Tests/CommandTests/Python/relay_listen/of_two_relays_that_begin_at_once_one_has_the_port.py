import atexit
import os
import signal
import socket
import subprocess

from relaying import name, upstream
from splicing import check, splice

up = upstream()
s = socket.socket()
s.bind(('127.0.0.1', 0))
port = '%d' % s.getsockname()[1]
s.close()
slow = [
    'strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=listen', '-e',
    'inject=listen:delay_enter=400000',
]
both = [
    subprocess.Popen(
        [*slow, splice, 'relay', '--threads', '2', port, name(up)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    for _ in range(2)
]
for p in both:
    atexit.register(lambda p=p: p.poll() is None and os.killpg(p.pid, signal.SIGKILL))
said = sorted(p.stderr.readline() for p in both)
check(b'Address already in use' in said[0] and b'listening' in said[1], said)
