import os
import socket

from relaying import name, Relay, upstream
from splicing import check, in_thread, reset, until

watching = upstream()
r = Relay(
    '--tap-upstream', 'sent', '--tap-upstream', 'tcp:' + name(watching),
    '--tap-downstream', 'unix-listen:answers', '--tap-upstream', 'missing/directory',
    '--tap-downstream', 'exec:exit 3',
    upstreams=[upstream()],
)
first, _ = watching.accept()
first.settimeout(20)
until(lambda: sum('tap begins' in line for line in r.log()) >= 3, 'taps')
client, far = r.pair()
client.sendall(b'hello')
check(far.recv(5) == b'hello')
check(first.recv(5) == b'hello')
# Answers are watched from now on.
watcher = socket.socket(socket.AF_UNIX)
watcher.settimeout(20)
watcher.connect('answers')
until(
    lambda: any('unix-listen' in line for line in r.log() if 'begins' in line),
    'the watcher',
)
far.sendall(b'answer')
check(client.recv(6) == b'answer')
check(watcher.recv(6) == b'answer')
# One stalls, one vanishes: the stream goes on, whole.
reset(watcher)
content = os.urandom(30_000_000)
sending = in_thread(lambda: client.sendall(content))
got = bytearray()
while len(got) < len(content):
    got += far.recv(1 << 20)
check(bytes(got) == content)
sending()
# What was not read is missed, and one that has gone comes back.
reset(first)
client.sendall(b'x')
check(far.recv(1) == b'x')


def again():
    client.sendall(b'y')
    check(far.recv(1) == b'y')
    watching.settimeout(0.2)
    try:
        return watching.accept()[0]
    except TimeoutError:
        return None


second = None


def back():
    global second
    second = again()
    return second is not None


until(back, 'it comes back')
second.settimeout(20)
client.sendall(b'z')
check(far.recv(1) == b'z')
client.close()
far.close()
said = r.ended()
check(said['why'] == 'end', said)
check(r.stop() == 0)
check(open('sent', 'rb').read().startswith(b'hello' + content[:65536]))
