import os
import subprocess

from splicing import check, splice

open('a', 'wb').write(b'a' * 100)
for words, says in [
    (['--limit', '0'], b''),
    (['--offset', '200'], b'splice: a: seek: the offset 200 is past the end, at 100\n'),
    (['--offset', '100'], b''),
    (['--offset', '200', '--limit', '5'], b'splice: a: seek: the offset 200 is past the end, at 100\n'),
]:
    for size, more in [
        (None, ['--sink-offset', '100']),
        (50, ['--sink-offset', '100']),
        (300, ['--sink-offset', '100']),
        (50, []),
    ]:
        for sink in ('b', '-'):
            if size is None:
                if os.path.exists('b'):
                    os.unlink('b')
            else:
                open('b', 'wb').write(bytes(size))
            if sink == '-' and not more:
                continue
            with open('b', 'ab' if False else 'r+b' if size is not None else 'wb') as out:
                p = subprocess.run([splice, 'a', sink, *words, *more], stderr=subprocess.PIPE, stdout=out)
            check(p.returncode == 0 and p.stderr == says, words, more, p)
            # Without a place to write at the sink is emptied, as by any copy.
            check(
                os.path.getsize('b') == (0 if not more else size or 0),
                words, more, size,
                os.path.getsize('b'),
            )
p = subprocess.run([splice, '-', 'b', '--offset', '50'], stdin=open('a', 'rb'), stderr=subprocess.PIPE)
check(p.stderr == b'' and os.path.getsize('b') == 50)
p = subprocess.run(
    [splice, '-', '-', '--offset', '150'],
    stdin=open('a', 'rb'),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
)
check(p.returncode == 0 and p.stderr == b'splice: -: seek: the offset 150 is past the end, at 100\n', p)
# A hole at the end is a part of what is copied.
open('holes', 'wb').truncate(1 << 20)
check(
    subprocess.run([splice, 'holes', 'new', '--sink-offset', '100']).returncode == 0
    and os.path.getsize('new') == (1 << 20) + 100
)
check(
    subprocess.run([splice, 'holes', 'new2', '--offset', '1M', '--sink-offset', '100']).returncode == 0
    and os.path.getsize('new2') == 0
)
