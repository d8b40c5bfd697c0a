import select
import socket
import time

from splicing import arguments, check, start

is_first = arguments[0] == 'true'


def listen(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(name)
    s.listen(1)
    s.settimeout(20)
    return s


one, two = listen('one'), listen('two')
words = ['unix:one', 'unix:two']
if not is_first:
    words.reverse()
p = start('join', *words)
a, b = one.accept()[0], two.accept()[0]
a.sendall(b'request')
check(b.recv(7, socket.MSG_PEEK) == b'request')
b.setblocking(False)
sent = 0
# As much as is taken while nobody reads.
while select.select([], [b], [], 0.5)[1]:
    sent += b.send(b'a' * 16384)
check(sent > 200_000, sent)
b.close()
a.settimeout(20)
got = 0
while d := a.recv(30_000):
    got += len(d)
    # A reader that is slow.
    time.sleep(0.001)
check(got == sent, got, sent)
check(p.wait() == 74)
