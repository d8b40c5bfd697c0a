import atexit
import os
import signal
import socket

from relaying import Relay, upstream
from splicing import check, start, until

up = upstream()


def connect(path='here'):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return s


first = Relay('--drain-timeout', '60s', upstreams=[up], listen='unix:here')
client = connect()
far, _ = up.accept()
first.process.send_signal(signal.SIGTERM)
# Removed before the drain, so that a successor has the path meanwhile.
until(lambda: not os.path.lexists('here'), 'removed')
second = Relay(upstreams=[up], listen='unix:here')
made = os.lstat('here').st_ino
client.sendall(b'still served')
check(far.recv(20) == b'still served')
check(first.process.poll() is None)
client.close()
far.close()
check(first.process.wait(20) == 0)
check(os.lstat('here').st_ino == made)
connect().close()
up.accept()[0].close()
# Moved away and replaced by somebody else: that one's is left alone.
os.rename('here', 'moved')
other = socket.socket(socket.AF_UNIX)
other.bind('here')
check(second.stop() == 0 and os.path.lexists('here'))
# A copy that listens removes what it has made as well, and nothing else.
for replaced in [False, True]:
    p = start('unix-listen:there', 'null:')
    atexit.register(p.kill)

    def came():
        global client
        try:
            client = connect('there')
            return True
        except OSError:
            return False

    until(came)
    if replaced:
        os.unlink('there')
        other = socket.socket(socket.AF_UNIX)
        other.bind('there')
    client.close()
    check(p.wait(20) == 0 and os.path.lexists('there') == replaced, replaced)
