# A file that is replaced, made unreadable, or removed with all the directories above it while it is sent
# arrives as it was, to its last byte; who asks after that gets what is there then.
import os
import shutil

from filing import Files
from splicing import all_of, check, until

size = 16 << 20
# Root reads what is unreadable unless it has lost its capabilities.
wrap = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] if os.geteuid() == 0 else []
os.makedirs('www/sub/deep')
f = Files('--listing', directory='www', wrap=wrap)


def made(name):
    content = os.urandom(1 << 20) * (size >> 20)
    open('www/' + name, 'wb').write(content)
    return content


def begin(name):
    """An answer of which the head has come, and hardly more; the function has the content."""
    s, rest = f.begin('/' + name, size)
    return lambda: rest + all_of(s)


# Replaced: those who have begun get the old one, and others the new one.
old = made('a')
end = begin('a')
new = made('b')
os.rename('www/b', 'www/a')
until(lambda: f.ask('/a')[1] == new)
check(end() == old)
# Unreadable.
content = made('a')
end = begin('a')
os.chmod('www/a', 0)
until(lambda: f.status('/a') in (403, 404))
check(end() == content)
os.chmod('www/a', 0o644)
until(lambda: f.ask('/a')[1] == content)
# In a directory that cannot be entered any more.
content = made('sub/deep/a')
end = begin('sub/deep/a')
os.chmod('www/sub', 0)
until(lambda: f.status('/sub/deep/a') in (403, 404))
check(f.status('/sub/') in (403, 404))
check(end() == content)
os.chmod('www/sub', 0o755)
until(lambda: f.status('/sub/') == 200)
# In a directory that is removed, and one by its name that is made later.
end = begin('sub/deep/a')
shutil.rmtree('www/sub')
until(lambda: f.status('/sub/deep/a') == 404)
check(f.status('/sub/') == 404)
check(end() == content)
os.mkdir('www/sub')
open('www/sub/other', 'w').write('other')
until(lambda: f.ask('/sub/other')[1] == b'other')
# The directory itself: a new one by its name is not the one that is served.
content = made('a')
end = begin('a')
shutil.rmtree('www')
os.mkdir('www')
open('www/a', 'w').write('another')
until(lambda: f.status('/a') == 404)
check(f.status('/') in (200, 404))
check(end() == content)
check(f.stop() == 0)
