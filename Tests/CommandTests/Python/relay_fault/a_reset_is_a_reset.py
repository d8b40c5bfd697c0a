from relaying import Relay, upstream
from splicing import check, is_reset, reset

r = Relay(upstreams=[upstream()])
for talked in [False, True]:
    client, far = r.pair()
    if talked:
        client.sendall(b'hello')
        check(far.recv(5) == b'hello')
    reset(client)
    check(is_reset(far), 'the upstream sees it', talked)
    said = r.ended()
    check(said['ended'] == 'client' and 'reset' in said['why'], said)
    client, far = r.pair()
    if talked:
        far.sendall(b'hello')
        check(client.recv(5) == b'hello')
    reset(far)
    check(is_reset(client), 'the client sees it', talked)
    said = r.ended()
    check(said['ended'] == 'upstream' and 'reset' in said['why'], said)
# With bytes on their way that nobody takes.
client, far = r.pair()
client.setblocking(False)
try:
    while True:
        client.send(bytes(1 << 20))
except BlockingIOError:
    pass
reset(far)
client.settimeout(20)
check(is_reset(client), 'full')
check(r.stop() == 0)
