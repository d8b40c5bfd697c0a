import os
import socket

from relaying import Relay, upstream
from splicing import check

for address in ['notify', '\0splice-test-%d' % os.getpid()]:
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(address)
    told.settimeout(20)
    r = Relay(upstreams=[upstream()], env={**os.environ, 'NOTIFY_SOCKET': address.replace('\0', '@')})
    check(told.recv(1000) == b'READY=1')
    check(r.stop() == 0 and told.recv(1000) == b'STOPPING=1')
# Nobody there: nothing happens.
r = Relay(upstreams=[upstream()], env={**os.environ, 'NOTIFY_SOCKET': 'nobody'})
check(r.stop() == 0)
