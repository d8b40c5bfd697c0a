import subprocess

from splicing import check, listen, start

s, word = listen()
p = start(
    'join', '-', word, '--half-close-timeout', '200ms', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
)
c, _ = s.accept()
c.sendall(b'half of an ans')
check(c.recv(1) == b'')
check(p.wait(20) == 0 and p.stdout.read() == b'half of an ans')
said = p.stderr.read()
check(
    said == b"splice: %s: read: no byte for 200ms after the other direction's end, cut off\n" % word.encode(),
    said,
)
# In good order there is nothing to say.
p = start('join', '-', word, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
c, _ = s.accept()
c.close()
check(p.wait(20) == 0 and p.stderr.read() == b'')
