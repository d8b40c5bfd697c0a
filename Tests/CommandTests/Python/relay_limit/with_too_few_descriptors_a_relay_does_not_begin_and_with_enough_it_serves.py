import atexit
import os
import resource
import signal
import socket
import subprocess

from relaying import name, upstream
from splicing import all_of, check, splice

up = upstream()
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.bind('ready')
ready.setblocking(False)
taps = ['--tap-upstream', 'exec:exec cat >/dev/null', '--tap-downstream', 'a', '--tap-downstream', 'b']
looked_at = ['--admin', 'unix:admin', '--health-interval', '1s']


def serves(words, most):
    p = subprocess.Popen(
        [splice, 'relay', '--threads', '2', *words, 'unix:here', name(up)],
        stderr=subprocess.PIPE,
        env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
    )
    atexit.register(p.kill)
    said = b''
    while b': listening' not in said:
        line = p.stderr.readline()
        said += line
        if line:
            continue
        check(
            p.wait(20) == 73 and (b'too few' in said or b'Too many open files' in said),
            words, most, p.returncode, said,
        )
        try:
            ready.recv(100)
            check(False, 'it was said to be ready', words, most)
        except BlockingIOError:
            return False
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect('here')
    s.sendall(b'x')
    while True:
        # Checks are connections that end at once.
        far, _ = up.accept()
        if far.recv(1):
            break
        far.close()
    far.sendall(b'y')
    check(s.recv(1) == b'y', words, most)
    s.close()
    far.close()
    if '--admin' in words:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect('admin')
        s.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
        check(b'200 OK' in all_of(s), words, most)
    p.send_signal(signal.SIGTERM)
    rest = p.stderr.read()
    check(p.wait(20) == 0 and b'Too many' not in rest, words, most, p.returncode, rest)
    while b'STOPPING' not in ready.recv(100):
        pass
    return True


for words in [taps, looked_at]:
    # The least with which it begins, and what is around it.
    low, high = 24, 128
    check(serves(words, high), words)
    while high - low > 1:
        middle = (low + high) // 2
        if serves(words, middle):
            high = middle
        else:
            low = middle
    for most in range(high - 3, high + 3):
        check(serves(words, most) == (most >= high), words, most, high)
