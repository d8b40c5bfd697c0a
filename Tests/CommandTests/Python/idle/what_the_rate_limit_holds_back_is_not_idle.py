import subprocess

from splicing import check, start

open('file', 'wb').write(b'abc')
rate = ['--rate-limit', '1', '--idle-timeout', '900ms']
limit = ['--limit', '2']
copies = [
    start('zero:', 'null:', *rate, *limit),
    start('zero:', 'null:', 'null:', *rate, *limit),
    start('file', 'copy', *rate, *limit),
    start('zero:', 'null:', '--buffer', '64K', *rate, *limit),
    start('join', 'exec:printf abc', 'null:', '--half-close-timeout', '900ms', *rate),
    start('zero:', 'null:', '--rate-limit', '2', '--limit', '2', '--idle-timeout', '450ms'),
]
# One whose source is idle is told so all the same.
still = [start('-', *sinks, *rate, stdin=subprocess.PIPE) for sinks in (['null:'], ['null:', 'null:'])]
for p in copies:
    said = p.communicate(timeout=20)[1]
    check(p.returncode == 0, p.args, said)
for p in still:
    check(p.wait(20) == 74 and p.stderr.read() == b'splice: -: read: no byte for 900ms\n')
