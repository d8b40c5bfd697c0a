import re
import signal
import socket
import time

from relaying import Relay, upstream
from splicing import check, in_thread

recorder = socket.create_server(('127.0.0.1', 0))
recorder.settimeout(60)
up = upstream()
r = Relay('--tap-upstream', f'tcp:127.0.0.1:{recorder.getsockname()[1]}', upstreams=[up])


def record():
    # Slower than the bursts are, so that a queue is there when it is reopened.
    tap, _ = recorder.accept()
    count = 0
    try:
        while piece := tap.recv(20_000):
            count += len(piece)
            time.sleep(0.005)
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
for _ in range(100):
    client.sendall(bytes(10_000))
r.process.send_signal(signal.SIGHUP)
second = in_thread(record)
said = r.line('tap left')
check(first() == int(re.search(r'delivered=(\d+)', said)[1]), said)
client.close()
drained()
far.close()
check(r.stop() == 0)
second()
