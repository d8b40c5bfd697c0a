# A directory and a file that change places with links to what is outside, as fast as they can, while somebody
# asks for them: what is outside is never shown. There are more names than the server remembers, so that it
# looks at each anew.
import atexit
import os
import subprocess
import sys

from filing import Files
from splicing import check

swap = """
import ctypes
libc = ctypes.CDLL(None)
exchange = 2
for _ in iter(int, 1):
    for one, other in (b'www/d', b'www/to-d'), (b'www/f', b'www/to-f'), (b'www/e', b'www/to-e'):
        if libc.renameat2(-100, one, -100, other, exchange):
            raise OSError
"""
names = [f'n{number}' for number in range(40)]
for place, content in ('www/d', 'inside'), ('www/e', 'inside'), ('out', 'outside'):
    os.makedirs(place)
    for name in names:
        open(f'{place}/{name}', 'w').write(content)
open('out/outside-only', 'w').write('outside')
open('www/f', 'w').write('inside')
os.symlink(os.path.abspath('out'), 'www/to-d')
os.symlink('../out', 'www/to-e')
os.symlink('../out/n0', 'www/to-f')
f = Files('--listing', directory='www')
swapper = subprocess.Popen([sys.executable, '-c', swap], stderr=subprocess.PIPE)
atexit.register(swapper.kill)

shown, hidden = 0, 0


def look(path):
    global shown, hidden
    answer, content = f.ask(path)
    check(b'outside' not in content, path, content)
    if answer.status == 200:
        shown += 1
    else:
        check(answer.status == 404, path, answer.status)
        hidden += 1


rounds = 0
while rounds < 10 or min(shown, hidden) < 100:
    for name in names:
        look(f'/d/{name}')
        look(f'/e/{name}')
    for path in '/f', '/d/', '/e/', '/':
        look(path)
    rounds += 1
check(swapper.poll() is None, 'it ended', swapper.poll())
check(f.stop() == 0)
