import os
import subprocess

from splicing import check, is_asleep, start, until

data = os.urandom(8 << 20)
with open('B', 'wb') as file:
    file.write(b'b' * 1000)
for words in (
    ['A', '-', '--buffer', '1M'],
    ['A', '-', '--then', 'B'],
    ['A', '-', 'digest:sha256', '--buffer', '1M'],
    ['A', '-'],
    ['A', '-', 'digest:sha256'],
):
    with open('A', 'wb') as file:
        file.write(data)
    p = start(*words, stdout=subprocess.PIPE)
    until(lambda: is_asleep(p.pid), words, 'nothing is held up')
    os.truncate('A', 4 << 20)
    got = b''
    while len(got) < 5 << 19:
        got += os.read(p.stdout.fileno(), (5 << 19) - len(got))
    # Some of it has read to the end, which is not where it was promised; much of what it has read is on its way.
    until(lambda: is_asleep(p.pid), words, 'nothing is held up')
    with open('A', 'r+b') as file:
        file.write(data)
    got += p.stdout.read()
    errors = p.stderr.read()
    status = p.wait(20)
    whole = data + (b'b' * 1000 if '--then' in words else b'')
    check(status == 0 and got == whole or status == 74 and b'A: read: truncated' in errors, words, status, errors)
    check(status == 74 or len(words) == 2 or 'digest:sha256' in words and len(words) == 3, words, status)
    check(status == 0 or b' A\n' not in errors, words, errors)
