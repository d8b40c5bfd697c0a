import os
import subprocess

from splicing import check, is_asleep, start, until

first = start('-', 'out', '--no-clobber', stdin=subprocess.PIPE)
until(lambda: os.path.exists('out') and is_asleep(first.pid))
with open('b', 'wb') as file:
    file.write(b'B' * 1000)
second = start('b', 'out', '--no-clobber')
errors = second.communicate(timeout=20)[1]
check(second.returncode == 73 and b'exists already' in errors, second.returncode, errors)
first.stdin.write(b'A' * 10)
first.stdin.close()
check(first.wait(timeout=20) == 0, first.stderr.read())
check(open('out', 'rb').read() == b'A' * 10)
