import atexit
import signal
import socket
import subprocess
import threading

from relaying import name, upstream
from splicing import check, splice, until

# Stands in for the service manager, which holds the socket while one relay takes over from the other.
up = upstream(backlog=1000)


def serve():
    while True:
        try:
            far, _ = up.accept()
        except OSError:
            return

        def one(far):
            far.settimeout(80)
            while data := far.recv(1 << 16):
                far.sendall(data)
            far.close()

        threading.Thread(target=one, args=[far], daemon=True).start()


threading.Thread(target=serve, daemon=True).start()
held = socket.create_server(('127.0.0.1', 0), backlog=4000)


def begin():
    words = [
        'bash', '-c', 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % held.fileno(), '-', splice,
        'relay', 'systemd', name(up), '--drain-timeout', '80s', '--log-level', 'warning',
    ]
    p = subprocess.Popen(words, stderr=subprocess.PIPE, pass_fds=[held.fileno()])
    check(b'listening' in p.stderr.readline())
    atexit.register(p.kill)
    return p


running = begin()
long = socket.create_connection(held.getsockname())
long.settimeout(80)
long.sendall(b'begun')
check(long.recv(10) == b'begun')
counts, wrong, over = [0] * 4, [], threading.Event()


def load(n):
    while not over.is_set():
        try:
            s = socket.create_connection(held.getsockname())
            s.settimeout(20)
            s.sendall(b'request')
            answer = b''
            while len(answer) < 7:
                piece = s.recv(7 - len(answer))
                if not piece:
                    raise OSError('cut')
                answer += piece
            s.close()
            counts[n] += 1
        except OSError as error:
            wrong.append(repr(error))
            return


loads = [threading.Thread(target=load, args=[n], daemon=True) for n in range(4)]
for l in loads:
    l.start()
old = []
for _ in range(4):
    before = sum(counts)
    until(lambda: sum(counts) > before + 40 or wrong)
    next = begin()
    running.send_signal(signal.SIGTERM)
    old.append(running)
    running = next
before = sum(counts)
until(lambda: sum(counts) > before + 40 or wrong)
over.set()
for l in loads:
    l.join(20)
check(not wrong, wrong)
# The first one waits for whoever it has begun to serve.
check(old[0].poll() is None)
long.sendall(b'ended')
check(long.recv(10) == b'ended')
long.close()
running.send_signal(signal.SIGTERM)
for p in [*old, running]:
    check(p.wait(30) == 0)
