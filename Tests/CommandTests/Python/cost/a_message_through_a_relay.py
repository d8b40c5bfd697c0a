# strace counts.
from counting import OF_CONNECTIONS, each, traced
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


# There and back: each a read and a write, beside its wait.
each(work, 50, 250, 4.1, OF_CONNECTIONS)
