import signal
import socket

from relaying import Relay, upstream
from splicing import all_of, check

r = Relay(upstreams=[upstream()])
client, far = r.pair()
client.sendall(b'before')
client.send(b'!', socket.MSG_OOB)
client.sendall(b'after')
client.shutdown(1)
check(all_of(far).replace(b'!', b'') == b'beforeafter')
far.close()
client.close()
client, far = r.pair()
client.sendall(b'x')
check(far.recv(1) == b'x')
client.send(b'!', socket.MSG_OOB)
busy = r.busy(0.5)
check(busy < 0.1, 'it spins', busy)
far.sendall(b'y')
check(client.recv(1) == b'y')
r.process.send_signal(signal.SIGSTOP)
client.sendall(b'while it is stopped')
r.process.send_signal(signal.SIGCONT)
got = b''
while not got.endswith(b'while it is stopped'):
    got += far.recv(100)
check(r.stop(signal.SIGKILL) == -9)
