import json
import subprocess

from splicing import check, splice

evil = b'x\n\x1b]0;forged\x07\xff\x9b\xc2\x9b\xe2\x80\xae\\'
shown = b'x\\n\\u{1b}]0;forged\\u{7}\\xff\\x9b\\u{9b}\\u{202e}\\\\'


def said(*words, status, **more):
    p = subprocess.run(
        [splice, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **more
    )
    check(p.returncode == status, words, p)
    for line in (p.stderr + p.stdout).splitlines():
        check(not any(c < 32 or c == 127 for c in line), line)
        check(not any(0x80 <= ord(c) < 0xA0 or c in '\u202e\ufffd' for c in line.decode()), line)
    return p.stderr


check(
    said(b'/no/' + evil, '-', status=66) == b'splice: /no/' + shown + b': open: No such file or directory\n'
)
check(
    said('null:', b'/no/' + evil, status=73)
    == b'splice: /no/' + shown + b': open: No such file or directory\n'
)
check(
    said(b'exec:exit 3 #' + evil, 'null:', status=74)
    == b'splice: exec:exit 3 #' + shown + b': run: ended with status 3\n'
)
open(evil, 'wb').write(b'a' * 10)
check(
    shown
    in said(evil, 'null:', b'x' + evil, '--explain', '--stats', 'text', '--progress', 'always', status=0)
)
# One line of JSON, with the name in it: a byte that is no UTF-8 is U+10FExx.

line = said(evil, b'x' + evil, '--stats', 'json', status=0)
check(line.count(b'\n') == 1, line)
name = json.loads(line)['source']['endpoint']
check(
    b''.join(bytes([ord(c) - 0x10FE00]) if 0x10FE00 <= ord(c) <= 0x10FEFF else c.encode() for c in name)
    == evil,
    name,
)
# Of wrong usage, too.
for words in (
    [b'--' + evil, 'a', 'b'],
    [b'tcp:' + evil, '-'],
    ['a', 'b', '--limit', evil],
    ['join', '-', b'append:' + evil],
    ['a', 'b', 'c', b'--resume' + evil],
    [b'-' + evil, 'a'],
    ['relay', b'unix:', evil],
):
    said(*words, status=64)
