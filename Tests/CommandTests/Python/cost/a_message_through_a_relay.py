# strace counts.
from counting import each, traced
from relaying import Relay, upstream
from splicing import check


def work(count):
    wrap, path = traced()
    relay = Relay('--threads', '1', upstreams=[upstream()], wrap=wrap)
    client, far = relay.pair()
    for _ in range(count):
        client.sendall(b'question')
        check(far.recv(100) == b'question')
        far.sendall(b'answer')
        check(client.recv(100) == b'answer')
    client.close()
    far.close()
    check(relay.stop() == 0)
    return path


# There and back: each a wait, a read and a write.
each(work, 50, 250, 6.6)
