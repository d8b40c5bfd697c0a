import subprocess

from splicing import check, splice

names = [
    b'plain', b'a b', b'new\nline', b'back\\slash', b'r\rn', b'\\', b'both\\\n', b'\x1b[31m',
    b'c\xff',
    'd\u00e9\u202e'.encode(),
]
lines = []
for name in names:
    open(name, 'wb').write(b'content of ' + name)
    expected = subprocess.run(['sha256sum', '--', name], stdout=subprocess.PIPE).stdout
    for word in (b'file:' + name, name):
        p = subprocess.run([splice, '--', word, 'digest:sha256'], stderr=subprocess.PIPE)
        check(p.returncode == 0 and p.stderr == expected, word, p.stderr, expected)
    lines.append(p.stderr)
checked = subprocess.run(['sha256sum', '-c', '--strict', '--status'], input=b''.join(lines))
check(checked.returncode == 0)
