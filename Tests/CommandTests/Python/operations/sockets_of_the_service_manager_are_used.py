import os
import signal
import socket
import subprocess

from relaying import name, upstream
from splicing import check, splice, until

up = upstream()
# A port that was free may be somebody else's by now.
for _ in range(10):
    free = socket.create_server(('127.0.0.1', 0))
    port = free.getsockname()[1]
    free.close()
    p = subprocess.Popen(
        [
            'systemd-socket-activate', '-l', '127.0.0.1:%d' % port, '-l', os.path.abspath('sock'),
            splice, 'relay', 'systemd', name(up),
        ],
        stderr=subprocess.PIPE,
    )
    until(lambda: os.path.exists('sock') or p.poll() is not None)
    if p.poll() is None:
        break


def through(s):
    s.settimeout(20)
    s.sendall(b'hello')
    far, _ = up.accept()
    check(far.recv(10) == b'hello')
    s.close()
    check(far.recv(1) == b'')


through(socket.create_connection(('127.0.0.1', port)))
s = socket.socket(socket.AF_UNIX)
s.connect('sock')
through(s)
p.send_signal(signal.SIGTERM)
said = p.communicate(timeout=20)[1]
check(p.returncode == 0 and b'%d: listening' % port in said and b'unix:' in said, p.returncode, said)
# None were passed, or to somebody else, or what is none.
for words, status in [
    ([], 73),
    (['env', 'LISTEN_PID=1', 'LISTEN_FDS=1'], 73),
    (['bash', '-c', 'LISTEN_PID=$$ LISTEN_FDS=2147483647 exec "$@"', '-'], 73),
    (['bash', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null', '-'], 73),
]:
    p = subprocess.run([*words, splice, 'relay', 'systemd', name(up)], stderr=subprocess.PIPE, timeout=20)
    check(p.returncode == status and b'systemd: listen: ' in p.stderr, words, p)
