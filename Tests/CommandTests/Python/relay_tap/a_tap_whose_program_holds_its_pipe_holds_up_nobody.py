import sys

from relaying import Relay, upstream
from splicing import check

# It splices into a socket that nobody reads, and keeps the lock of its pipe meanwhile.
with open('slow.py', 'w') as file:
    file.write('''
import os, socket
ours, theirs = socket.socketpair()
while os.splice(0, ours.fileno(), 1 << 20): pass
''')
relay = Relay(
    '--threads', '1', '--drain-timeout', '2s', '--tap-upstream', f'exec:exec {sys.executable} slow.py',
    upstreams=[upstream()])
client, far = relay.pair()
for _ in range(100):
    client.sendall(bytes(50_000))
    left = 50_000
    while left:
        left -= len(far.recv(left))
other, there = relay.pair()
other.sendall(b'x')
check(there.recv(1) == b'x')
for one in client, far, other, there:
    one.close()
check(relay.stop() == 0)
