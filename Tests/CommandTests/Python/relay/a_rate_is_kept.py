import time

from relaying import Relay, upstream
from splicing import all_of, check, in_thread

r = Relay('--rate-limit', '1M', upstreams=[upstream()])
client, far = r.pair()
sending = in_thread(lambda: (client.sendall(bytes(1 << 20)), client.shutdown(1)))
begin = time.monotonic()
check(len(all_of(far)) == 1 << 20)
check(time.monotonic() - begin > 0.7, 'not limited')
far.close()
check(r.ended()['sent'] == str(1 << 20))
