import os
import subprocess

from splicing import check, splice

open('f', 'wb').write(b'content')
os.mkdir('d')
os.symlink('f', 'link')
for source, sink, status in [
    ('f', 'new/', 73),
    ('f', 'other//', 73),
    ('f', 'append:new/', 73),
    ('f', 'file:new/', 73),
    ('null:', 'f/', 73),
    ('null:', 'link/', 73),
    ('f/', '-', 66),
    ('file:f/', '-', 66),
    ('link/', '-', 66),
    ('d/', '-', 66),
    ('null:', '/', 73),
]:
    p = subprocess.run([splice, source, sink], stderr=subprocess.PIPE)
    check(p.returncode == status, source, sink, p)
    check(p.stderr.startswith(b'splice: %s: open: ' % (source if status == 66 else sink).encode()), p.stderr)
    check(
        sorted(os.listdir('.')) == ['d', 'f', 'link'] and open('f', 'rb').read() == b'content',
        os.listdir('.'),
    )
# In a directory that is there, a file of the source's name, as cp makes one.
for source, sink, made in [
    ('f', 'd', 'd/f'),
    ('d/f', '.', 'f'),
    ('file:f', 'file:d/', 'd/f'),
    (b'f\xff', 'd/', b'd/f\xff'),
]:
    open(source.removeprefix('file:') if isinstance(source, str) else source, 'wb').write(b'content')
    check(
        subprocess.run([splice, source, sink]).returncode == 0 and open(made, 'rb').read() == b'content',
        source,
        sink,
    )
    os.unlink(made)
    open('f', 'wb').write(b'content')
check(subprocess.run([splice, 'd/../f', './/g']).returncode == 0 and open('g', 'rb').read() == b'content')
