import time

from splicing import all_of, check, listen, start

open('b', 'wb').write(b'b' * 100)
peers = [listen() for _ in range(4)]
p = start('b', *[word for _, word in peers], '--idle-timeout', '700ms')
# They take everything and never end.
held = [s.accept()[0] for s, _ in peers]
for c in held:
    c.settimeout(20)
    check(len(all_of(c)) == 100)
began = time.monotonic()
check(p.wait(20) == 0 and time.monotonic() - began < 2, time.monotonic() - began)
