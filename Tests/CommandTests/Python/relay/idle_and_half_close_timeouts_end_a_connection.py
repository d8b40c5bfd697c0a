import time

from relaying import Relay, upstream
from splicing import check, is_reset

r = Relay('--idle-timeout', '400ms', '--half-close-timeout', '200ms', upstreams=[upstream()])
client, far = r.pair()
begin = time.monotonic()
# As long as something moves, one way or the other, it goes on:
# each pause is shorter than the timeout, and all together are longer.
for turn in range(8):
    (client, far)[turn % 2].sendall(b'x')
    check((far, client)[turn % 2].recv(1) == b'x')
    time.sleep(0.1)
check(time.monotonic() - begin > 0.7)
check(is_reset(client) and is_reset(far), 'idle')
said = r.ended()
check(said['why'] == 'idle timeout' and said['ended'] == 'relay', said)
client, far = r.pair()
client.shutdown(1)
check(far.recv(1) == b'')
check(is_reset(client), 'half-closed')
said = r.ended()
check(said['why'] == 'half-close timeout' and said['ended'] == 'client', said)
# A side that is stuck is idle, however much the other has to say.
client, far = r.pair()
begin = time.monotonic()
try:
    while True:
        client.sendall(bytes(1 << 16))
except (ConnectionResetError, BrokenPipeError):
    pass
check(r.ended()['why'] == 'idle timeout')
check(r.stop() == 0)
