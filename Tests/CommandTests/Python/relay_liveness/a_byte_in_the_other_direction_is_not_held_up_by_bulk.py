import atexit
import os
import signal
import subprocess

from relaying import Relay, upstream
from serving import admin, admin_port, ask
from splicing import check, splice, until

up = upstream(400)
r = Relay(*admin, '--threads', '1', upstreams=[up])
port = admin_port(r)


def pump(*words, **more):
    p = subprocess.Popen(
        [splice, *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **more
    )
    atexit.register(lambda: os.killpg(p.pid, signal.SIGKILL))
    return p


# A client sends as fast as it can, and makes a file once it was answered.
client = 'exec:exec 3<&0; head -c 1 <&3 >%s & exec cat /dev/zero'
fars = []
for number in range(16):
    pump('join', client % number, 'tcp:127.0.0.1:%d' % r.port)
    far, _ = up.accept()
    fars.append(far)
    pump('fd:%d' % far.fileno(), 'null:', pass_fds=[far.fileno()])


def carried():
    lines = ask(port, '/metrics')[1].splitlines()
    return sum(float(line.rsplit(' ', 1)[1]) for line in lines if line.startswith('splice_relay_bytes_total'))


until(lambda: carried() > 16 * (32 << 20), 'all of them are at it')
for far in fars:
    far.sendall(b'!')
until(
    lambda: all(os.path.exists(str(n)) and os.path.getsize(str(n)) for n in range(16)), 'answered', within=5
)
check(r.stop(signal.SIGKILL) == -9)
