"""What RecordProbe writes."""
import subprocess
import sys

from splicing import check

PROBE = sys.argv[2]


def line(number, name):
    return '%s %d %s\n' % (name, number, 'x' * (number * 7 % 200))


def lines(name, count):
    return ''.join(line(number, name) for number in range(count))


def probe(mode, file, name, count):
    return subprocess.Popen([PROBE, mode, file, name, str(count)], stdout=subprocess.PIPE)


def runs(mode, file, name, count):
    """Its status."""
    with probe(mode, file, name, count) as process:
        return process.wait(60)


def content(file):
    return open(file).read()


def is_beginning(text, name):
    """Whether these are records from the first on, of which the last may have been cut."""
    whole = text.splitlines(keepends=True)
    wanted = [line(number, name) for number in range(len(whole))]
    check(whole[:-1] == wanted[:-1] and (not whole or wanted[-1].startswith(whole[-1])))
    return sum(text.endswith('\n') for text in whole)
