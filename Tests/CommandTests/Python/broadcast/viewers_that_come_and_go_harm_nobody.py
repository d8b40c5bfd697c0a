import os
import random
import threading

from broadcasting import Broadcast
from splicing import all_of, check, in_thread, reset, until

b = Broadcast('--record', 'show', '--once')
steady, sender = b.viewer(), b.sender()
reading = in_thread(all_of, steady)
sent = []
over = threading.Event()


def send():
    while not over.is_set():
        piece = os.urandom(64 << 10)
        sender.sendall(piece)
        sent.append(piece)
        over.wait(0.005)
    sender.close()


sending = in_thread(send)
b.line('] source')
before = b.descriptors()
random.seed(1)
for _ in range(400):
    kind = random.randrange(6)
    s = b.ask(random.choice([b'', b'GET /li'])) if kind == 0 else b.ask()
    if kind in (1, 2):
        s.recv(random.choice([1, 200, 100_000]))
    if kind in (2, 3):
        reset(s)
    else:
        s.close()
# Up to 16 pipes of those who were behind are kept for the next.
until(lambda: b.descriptors() <= before + 2 * 16, before)
over.set()
sending()
check(reading() == b''.join(sent))
check(b.process.wait(20) == 0)
check(open('show', 'rb').read() == b''.join(sent))
