import os

from relaying import Relay, upstream
from splicing import all_of, arguments, check, in_thread, sandbox

error = int(arguments[0])
content = os.urandom(5_000_000)
r = Relay(upstreams=[upstream()], preexec_fn=lambda: sandbox(error))
client, far = r.pair()
for near, other in [(client, far), (far, client)]:
    sending = in_thread(lambda: (near.sendall(content), near.shutdown(1)))
    check(all_of(other) == content)
    sending()
check(r.ended()['why'] == 'end')
check(r.stop() == 0)
