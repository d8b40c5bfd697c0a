import os
import subprocess

from splicing import check, splice

open('a', 'wb').write(b'a' * 100)


def status(*words, stderr):
    p = subprocess.Popen(
        [splice, *words], stderr=stderr, preexec_fn=(lambda: os.close(2)) if stderr is None else None
    )
    return p.wait(20)


for more in (
    ['digest:sha256'],
    ['b', '--stats', 'json'],
    ['b', '--stats', 'text'],
    ['b', '--explain'],
    ['b', 'digest:sha256', '--stats', 'json'],
):
    check(status('a', *more, stderr=None) == 74, 'closed', more)
    with open('/dev/full', 'wb') as full:
        check(status('a', *more, stderr=full) == 74, 'full', more)
    read, write = os.pipe()
    os.close(read)
    check(status('a', *more, stderr=write) == 74, 'nobody reads', more)
    os.close(write)
    # One that is full and never read is waited for, and not for ever.
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, bytes(4096))
    except BlockingIOError:
        os.set_blocking(write, True)
    check(status('a', *more, stderr=write) == 74, 'not read', more)
    os.close(write)
    os.close(read)
check(status('a', 'b', stderr=None) == 0 and open('b', 'rb').read() == b'a' * 100)
with open('/dev/full', 'wb') as full:
    check(status('a', 'b', '--progress', 'always', stderr=full) == 0)
    check(status('/no/such', 'b', '--stats', 'json', stderr=full) == 66)
    check(status('join', '-', 'exec:cat', '--stats', 'json', stderr=full) == 74)
    # Help is said on standard output.
    p = subprocess.Popen([splice, '--help'], stdout=full)
    check(p.wait(20) == 74, p.returncode)
