import os

from relaying import Relay, upstream
from splicing import all_of, check, in_thread

r = Relay('--threads', '2', upstreams=[upstream()])
content, answer = os.urandom(20_000_000), os.urandom(9_000_001)
client, far = r.pair()
sending = in_thread(lambda: (client.sendall(content), client.shutdown(1)))
check(all_of(far) == content, 'what the upstream got')
sending()
# The client's end has been passed on, and the upstream still talks.
reading = in_thread(all_of, client)
far.sendall(answer)
far.close()
check(reading() == answer, 'what the client got')
said = r.ended()
check(said['sent'] == str(len(content)) and said['received'] == str(len(answer)), said)
check(said['ended'] == 'client' and said['why'] == 'end', said)
# The other way round.
client, far = r.pair()
far.shutdown(1)
check(client.recv(1) == b'')
client.sendall(b'still here')
client.close()
check(all_of(far) == b'still here')
check(r.ended()['ended'] == 'upstream')
check(r.stop() == 0)
