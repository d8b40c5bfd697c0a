import resource

from broadcasting import Broadcast, exactly, head_of
from splicing import check, until

limit = 96
b = Broadcast(
    '--record', 'show', '--threads', '1', '--max-viewers', '1000',
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
)
sender = b.sender()
first = b.viewer()
before = b.descriptors()
# More than there are descriptors for: they are not served, or wait.
more = [b.ask() for _ in range(2 * limit)]
sender.sendall(b'one')
check(exactly(first, 3) == b'one')
b.line('cannot')
for s in more:
    s.close()
# Up to 16 pipes of those who were behind are kept for the next.
until(lambda: b.descriptors() <= before + 2 * 16, before)
sender.sendall(b'two')
check(exactly(first, 3) == b'two')

# Those before it may still be being refused, and it is told to come again.
while not head_of(late := b.ask()).startswith(b'HTTP/1.1 200 OK'):
    late.close()
sender.sendall(b'end')
check(exactly(first, 3) == b'end' and exactly(late, 3) == b'end')
check(b.stop() == 0)
check(open('show').read() == 'onetwoend')
