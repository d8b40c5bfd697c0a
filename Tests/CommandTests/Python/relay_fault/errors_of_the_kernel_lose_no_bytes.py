import os

from relaying import Relay, upstream
from splicing import all_of, arguments, check, in_thread

injection = arguments[0]
r = Relay(
    '--threads', '1',
    upstreams=[upstream()],
    wrap=['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=none', '-e', 'inject=' + injection],
)
content = os.urandom(3_000_000)
for _ in range(4):
    client, far = r.pair()
    sending = in_thread(lambda: (client.sendall(content), client.shutdown(1)))
    check(all_of(far) == content)
    sending()
    reading = in_thread(all_of, client)
    far.sendall(content)
    far.close()
    check(reading() == content)
    client.close()
r.over()
