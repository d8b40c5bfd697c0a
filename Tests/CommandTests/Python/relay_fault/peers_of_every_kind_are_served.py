import os
import signal
import socket

from relaying import Relay, upstream
from splicing import all_of, check, in_thread, is_reset, until

r = Relay('--threads', '2', upstreams=[upstream()])
# Those who say nothing, on either side, and one who leaves without a word.
silent = [r.pair() for _ in range(20)]
gone = r.connect()
gone.close()
r.upstreams[0].accept()[0].close()
check(r.ended()['why'] == 'end')
# One who takes a byte at a time, while others are served.
content = os.urandom(3_000_000)
client, far = r.pair()
crawling = in_thread(lambda: (client.sendall(content), client.shutdown(1)))
for index in range(50):
    check(far.recv(1) == content[index : index + 1])
    other, end = r.pair()
    other.sendall(content[:70000])
    other.shutdown(1)
    check(all_of(end) == content[:70000])
    end.close()
    other.close()
check(all_of(far) == content[50:])
crawling()
far.close()
client.close()
# One who closes without having read what came, which is a reset.
client, far = r.pair()
client.sendall(content[:100])
check(far.recv(1) == content[:1])
until(lambda: len(far.recv(100, socket.MSG_PEEK)) == 99, 'the rest is there')
far.close()
check(is_reset(client), 'the client sees it')
for client, far in silent:
    client.sendall(b'x')
    check(far.recv(1) == b'x')
r.stop(signal.SIGKILL)
