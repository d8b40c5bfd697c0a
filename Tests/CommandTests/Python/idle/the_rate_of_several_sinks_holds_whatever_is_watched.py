import time

from splicing import check, start

fast = ['--rate-limit', '1M', '--limit', '1M']
for more in (
    ['--rate-limit', '2', '--limit', '3', '--idle-timeout', '450ms'],
    ['--progress', 'always', *fast],
    fast,
):
    began = time.monotonic()
    p = start('zero:', 'null:', 'null:', *more)
    said = p.communicate(timeout=20)[1]
    # The first twentieth of a second, or byte, is free.
    check(p.returncode == 0 and time.monotonic() - began > 0.9, more, time.monotonic() - began, said)
