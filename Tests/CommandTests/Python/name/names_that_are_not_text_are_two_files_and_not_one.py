import os
import subprocess

from splicing import check, splice


def run(*words, status=0, **more):
    p = subprocess.run([splice, *words], stderr=subprocess.PIPE, **more)
    check(p.returncode == status, words, p)
    return p


# Invalid UTF-8, its parts, composed and decomposed, what stands for bytes elsewhere, control characters.
names = [
    b'c\xff', b'c\xfe', b'\xc3', b'\xed\xb3\xbf',
    'c\u00e9'.encode(),
    'ce\u0301'.encode(),
    '\U0010feff\U0010fe80\U0010ff80'.encode(),
    b'a\nb\x1b[31m\x7f',
    bytes(b for b in range(1, 256) if b != 47),
]
for number, name in enumerate(names):
    open(name, 'wb').write(b'%d' % number)
for number, name in enumerate(names):
    run(b'./' + name, 'to')
    check(open('to', 'rb').read() == b'%d' % number, name)
    run(b'file:' + name, 'to')
    check(open('to', 'rb').read() == b'%d' % number, name)
for name in names:
    os.unlink(name)
open('a', 'wb').write(b'a')
run('a', *[b'file:' + n for n in names])
for name in names:
    check(open(name, 'rb').read() == b'a', name)
for name in names:
    run('a', b'append:' + name)
    check(open(name, 'rb').read() == b'aa', name)
    run('a', b'to', '--force', '--skip-slow', b'file:' + name)
    check(open(name, 'rb').read() == b'a', name)
    run(
        'a',
        b'exec:cat > "to'
        + name.replace(b'"', b'').replace(b'`', b'').replace(b'$', b'').replace(b'\\', b'')
        + b'"',
    )
run('a', b'exec:cat > c\xffd')
check(open(b'c\xffd', 'rb').read() == b'a')
check(run(b'exec:printf "\xff\t\xfe\n"', '-', stdout=subprocess.PIPE).stdout == b'\xff\t\xfe\n')
