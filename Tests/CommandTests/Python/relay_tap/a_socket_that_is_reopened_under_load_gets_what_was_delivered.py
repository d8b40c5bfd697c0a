import re
import signal
import socket
import threading

from relaying import Relay, upstream
from splicing import check, in_thread, until

recorder = socket.socket()
recorder.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
recorder.bind(('127.0.0.1', 0))
recorder.listen()
recorder.settimeout(60)
told = threading.Event()
up = upstream()
r = Relay('--tap-upstream', f'tcp:127.0.0.1:{recorder.getsockname()[1]}', upstreams=[up])


def record():
    tap, _ = recorder.accept()
    # It is behind when it is reopened: in its socket, and in its queue.
    told.wait(60)
    count = 0
    try:
        while piece := tap.recv(20_000):
            count += len(piece)
    except ConnectionResetError:
        pass
    return count


first = in_thread(record)
if not any('tap begins' in line for line in r.said):
    r.line('tap begins')
client, far = r.pair()


def drain():
    while far.recv(1 << 16):
        pass
    return True


drained = in_thread(drain)
for _ in range(80):
    client.sendall(bytes(100_000))
until(r.is_asleep)
r.process.send_signal(signal.SIGHUP)
until(lambda: r.is_asleep() or r.process.poll() is not None)
told.set()
second = in_thread(record)
said = r.line('tap left')
check(first() == int(re.search(r'delivered=(\d+)', said)[1]), said)
client.close()
drained()
far.close()
check(r.stop() == 0)
second()
