# strace counts.
from counting import OF_CONNECTIONS, each, traced
from relaying import Relay, upstream
from splicing import check, until


def work(count):
    wrap, path = traced()
    relay = Relay('--threads', '1', '--log-level', 'notice', upstreams=[upstream()], wrap=wrap)
    for _ in range(count):
        # One step at a time, so that nothing depends on who is faster.
        until(relay.is_asleep)
        client, far = relay.pair()
        until(relay.is_asleep)
        client.sendall(b'question')
        check(far.recv(100) == b'question')
        until(relay.is_asleep)
        far.sendall(b'answer')
        far.close()
        check(client.recv(100) == b'answer' and client.recv(1) == b'')
        until(relay.is_asleep)
        client.close()
    until(relay.is_asleep)
    check(relay.stop() == 0)
    return path


# Three of them in vain: each step is read to its end.
each(work, 10, 60, 24.5, OF_CONNECTIONS)
