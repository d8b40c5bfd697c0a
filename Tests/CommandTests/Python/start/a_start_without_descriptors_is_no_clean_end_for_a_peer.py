import os
import resource
import socket

from splicing import all_of, check, in_thread, listen, start

content = os.urandom(300000)
open('a', 'wb').write(content)


def serve(s):
    c, _ = s.accept()
    c.settimeout(20)
    try:
        return all_of(c)
    except ConnectionResetError:
        return None
    finally:
        c.close()


for more in ([], ['--buffer', '1M']):
    done = 0
    for limit in range(14, 62, 3):
        open('keep', 'wb').write(b'kept')
        peers = [listen() for _ in range(2)]
        for s, _ in peers:
            s.settimeout(20)
        served = [in_thread(serve, s) for s, _ in peers]
        p = start(
            'a',
            *[word for _, word in peers],
            'keep', *more, '--force',
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        )
        said = p.stderr.read()
        status = p.wait(20)
        # Whoever was not connected to hears of this.
        for s, _ in peers:
            c = socket.create_connection(s.getsockname())
            c.sendall(b'nobody came')
            c.close()
        got = [join() for join in served]
        kept = open('keep', 'rb').read()
        if status == 0:
            check(got == [content] * 2 and kept == content, limit, said)
        else:
            check(
                all(one in (None, b'nobody came') for one in got) and kept == b'kept',
                more, limit, status, said,
            )
        done += status == 0
    check(done > 0)
