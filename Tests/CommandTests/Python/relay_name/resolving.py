"""Names that mean what a test says, and addresses that answer nobody."""
import os
import socket

from relaying import upstream
from splicing import preloading

# The environment of a program to which names mean what `known()` says.
resolver = preloading(os.path.join(os.path.dirname(__file__), 'names.c'))


def known(**names):
    """What names mean from now on: name=[addresses]. One without an address is never answered."""
    with open('new', 'w') as file:
        file.write(''.join(' '.join([name, *places]) + '\n' for name, places in names.items()))
    os.rename('new', 'names')


def resolving(process):
    """How many threads of a process look names up."""
    count = 0
    for thread in os.listdir('/proc/%d/task' % process):
        try:
            with open('/proc/%d/task/%s/comm' % (process, thread)) as file:
                count += 'resolver' in file.read()
        except OSError:
            pass  # it has just ended
    return count


crowds = []


def hole(place):
    """A listener at an address whose queue is full, so that it answers nobody."""
    full = upstream(0, where=place)
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(full.getsockname())
        crowds.append(s)
    crowds.append(full)
    return full
