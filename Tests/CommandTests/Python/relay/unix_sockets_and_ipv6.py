import os
import signal
import socket

from relaying import Relay, upstream
from splicing import all_of, check

up = upstream(family=socket.AF_UNIX, where='up')
for again in range(2):
    r = Relay(upstreams=['unix:up'], listen='unix:here')
    client = socket.socket(socket.AF_UNIX)
    client.connect('here')
    far, _ = up.accept()
    client.sendall(b'hello')
    client.shutdown(1)
    check(all_of(far) == b'hello')
    far.close()
    check(r.ended()['why'] == 'end')
    # Killed, it leaves its file, which is nobody's then.
    check(r.stop(signal.SIGTERM if again else signal.SIGKILL) == (0 if again else -9))
    check(os.path.exists('here') == (again == 0))
six = socket.socket(socket.AF_INET6)
six.bind(('::1', 0))
six.listen()
six.settimeout(20)
r = Relay(upstreams=['[::1]:%d' % six.getsockname()[1]], listen='[::1]:0')
client = socket.create_connection(('::1', r.port))
far, _ = six.accept()
client.sendall(b'six')
check(far.recv(3) == b'six')
