"""System calls per unit of work: what noise does not touch, and no clock tells."""
import re
import sys

from splicing import check, until

# Each run has a file of its own.
runs = iter(range(1000))

# What a connection takes, without the waits, some of which come of time alone.
OF_CONNECTIONS = [
    'accept4', 'close', 'connect', 'epoll_ctl', 'getsockname', 'getsockopt', 'recvfrom', 'sendto', 'setsockopt',
    'shutdown', 'socket', 'splice']


def traced():
    """What to begin a command with, whose process stays the one that is started; and where its calls will be."""
    path = f'calls.{next(runs)}'
    return ['strace', '-D', '-f', '-q', '-o', path], path


def count(path, of):
    """The calls of a command that has ended."""

    def lines():
        with open(path) as file:
            return file.readlines()

    until(lambda: any('exited with' in line or 'killed by' in line for line in lines()[-1:]), path)
    names = [re.match(r'\d+ +(\w+)\(', line) for line in lines()]
    return sum(name is not None and (of is None or name[1] in of) for name in names)


def each(work, few, many, at_most, of=None):
    """Checks what one more unit of work costs: `work` does so many, and says where the calls are."""
    costs = (count(work(many), of) - count(work(few), of)) / (many - few)
    print(f'{costs:.2f} system calls', file=sys.stderr)
    check(costs <= at_most, costs, at_most)
