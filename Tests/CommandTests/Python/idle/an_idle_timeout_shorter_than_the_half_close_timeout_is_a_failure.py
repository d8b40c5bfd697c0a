import subprocess

from splicing import check, listen, start

s, word = listen()
p = start('join', '-', word, '--idle-timeout', '2s', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
c, _ = s.accept()
check(c.recv(1) == b'')
check(p.wait(20) == 74 and p.stderr.read() == b'splice: %s: read: no byte for 2s\n' % word.encode())
