import signal

from splicing import check


def drain(r, first, far, queued):
    """Drains a relay: those in the queue are let go at once, and the one that is served goes on."""
    r.process.send_signal(signal.SIGTERM)
    for s in queued:
        try:
            check(s.recv(1) == b'')
        except ConnectionResetError:
            pass
    far.sendall(b'y')
    check(first.recv(1) == b'y')
    first.close()
    far.close()
    check(r.process.wait(20) == 0)
