import os
import subprocess

from splicing import check, is_asleep, start, until

# All of it fits into the pipe of the copy and that of its reader.
data = os.urandom(3 << 19)
with open('B', 'wb') as file:
    file.write(b'b' * 1000)
for words in (
    ['A', '-'],
    ['A', '-', 'digest:sha256'],
    ['A', '-', '--buffer', '1M'],
    ['A', '-', '--then', 'B'],
):
    with open('A', 'wb') as file:
        file.write(data)
    p = start(*words, stdout=subprocess.PIPE)
    until(lambda: is_asleep(p.pid), words, 'nothing is held up')
    os.truncate('A', 0)
    got = p.stdout.read()
    errors = p.stderr.read()
    check(p.wait(20) == 0, words, errors)
    check(got == data + (b'b' * 1000 if '--then' in words else b''), words, len(got))
    check(('digest:sha256' in words) == (b'  A\n' in errors), words, errors)
