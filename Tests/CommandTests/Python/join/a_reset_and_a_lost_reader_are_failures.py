import os
import subprocess

from splicing import check, listen, reset, start

s, word = listen()
p = start('join', word, 'null:')
c, _ = s.accept()
c.sendall(b'x' * 10)
# `null:` ends at once, which is passed on, and swallows what comes.
check(c.recv(1) == b'')
reset(c)
check(p.wait() == 74)
check(p.stderr.read() == b'splice: %s: read: Connection reset by peer\n' % word.encode())
p = start('join', '-', word, stdin=subprocess.PIPE, stdout=(w := os.pipe())[1])
os.close(w[1])
os.close(w[0])
c, _ = s.accept()
c.sendall(b'x')
check(p.wait() == 74 and p.stderr.read() == b'splice: -: write: Broken pipe\n')
