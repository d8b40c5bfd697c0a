import signal
import socket

from relaying import Relay, upstream
from splicing import check, reset, until

up = upstream()
relay = Relay(upstreams=[up])
for client_first in (True, False):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(('127.0.0.1', relay.port))
    far, _ = up.accept()
    client.shutdown(socket.SHUT_WR)
    check(far.recv(10) == b'')
    far.sendall(b'z' * 100000)
    # All of it is in the socket to the client, which reads nothing.
    until(relay.is_asleep)
    relay.process.send_signal(signal.SIGSTOP)
    if client_first:
        reset(client)
        far.close()
    else:
        far.close()
        reset(client)
    relay.process.send_signal(signal.SIGCONT)
    line = relay.line('ended=')
    check('why=end' not in line, client_first, line)
