# The pipes of this user, as its programs have them open: sizes are asked for, and what cannot be seen is said.
import fcntl
import os
import subprocess
import time

from diagnosing import Diagnosis, another_user, python
from splicing import check

# A user of its own, whose pipes are these alone.
user = another_user(65531)
holding = """
import fcntl, os, sys, time
count, size = int(sys.argv[1]), int(sys.argv[2])
pipes = [os.pipe() for _ in range(count)]
for reader, _ in pipes:
    try:
        fcntl.fcntl(reader, 1031, size)
    except PermissionError:
        break  # past the budget
print(flush=True)
sys.stdin.read()
"""


def asked():
    """What doctor says; again while it has not had the time to look at all that is open on a busy machine."""
    end = time.monotonic() + 40
    while True:
        d = Diagnosis(**user)
        if not d.rows['pages in use']['value'].startswith('at least') or time.monotonic() > end:
            return d


def pages(d):
    return d.rows['pages in use']['number']


def held(count, size):
    """What count pipes of this size add."""
    before = asked()
    words = [python, '-c', holding, str(count), str(size)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/', **user) as other:
        other.stdout.readline()
        after = asked()
        other.stdin.close()
    return pages(after) - pages(before), after


page = os.sysconf('SC_PAGESIZE')
for count, size in (100, 4096), (30, 1 << 16), (5, 1 << 20):
    got, d = held(count, size)
    expected = count * -(-size // page)
    # One that says "at least" has seen no more than there is.
    is_part = d.rows['pages in use']['value'].startswith('at least')
    check(got <= expected if is_part else got == expected, count, size, got, d.rows['pages in use'])
if user:
    # Past the budget, which this user has alone. What is asked for then is small, and said to be.
    soft = int(open('/proc/sys/fs/pipe-user-pages-soft').read())
    if 0 < soft <= 16384:
        got, d = held(soft // 16 + 10, 1 << 16)
        check(d.rows['a new pipe']['number'] == 2 * page, d.rows['a new pipe'])
        check('2 slots' in d.rows['a new pipe']['value'] and 'soft limit' in d.rows['a new pipe']['advice'])
# In a namespace of its own, where one may be made, root is nobody's root.
if subprocess.run(['unshare', '-Ur', 'true'], stderr=subprocess.DEVNULL, **user).returncode == 0:
    d = Diagnosis(before=['unshare', '-Ur'], **user)
    check(d.rows['user']['number'] == 0 and 'bind it' in d.rows['user']['advice'], d.rows['user'])
reader, _ = os.pipe()
check(fcntl.fcntl(reader, 1032) in (2 * page, 16 * page))
