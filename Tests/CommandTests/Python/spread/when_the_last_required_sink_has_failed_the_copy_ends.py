import subprocess

from splicing import arguments, check, is_reset, listen, start

option = arguments[0]
p = start('zero:', '/dev/full', option, 'null:')
check(p.wait(10) == 74, p.stderr.read())
# Of a silent source, too, and no peer takes what it has for the whole.
s, word = listen()
p = start('-', '/dev/full', option, word, stdin=subprocess.PIPE)
c, _ = s.accept()
c.settimeout(20)
p.stdin.write(b'a')
p.stdin.flush()
check(is_reset(c), 'looks finished')
check(p.wait(10) == 74 and p.stderr.read().startswith(b'splice: /dev/full: write: No space left on device\n'))
