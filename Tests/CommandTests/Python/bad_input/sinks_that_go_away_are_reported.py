import subprocess
import time

from splicing import check, listen, reset, start

# Resets.
s, word = listen()
p = start('zero:', word)
c, _ = s.accept()
c.recv(10)
reset(c)
check(p.wait() == 74)
line = p.stderr.read().decode()
check(
    line in ('splice: %s: write: %s\n' % (word, e) for e in ('Connection reset by peer', 'Broken pipe')), line
)
# Greets, and never reads: told by the idle timeout, and nobody waits for its confirmation.
p = start('zero:', word, '--idle-timeout', '1200ms', '--stats', 'json')
c, _ = s.accept()
c.sendall(b'220 hello')
began = time.time()
check(p.wait() == 74 and time.time() - began < 4, time.time() - began)
check(p.stderr.read().startswith(b'splice: %s: write: no byte for 1200ms\n{' % word.encode()))
# A source that says nothing.
p = start(word, '-', '--idle-timeout', '1s', stdout=subprocess.DEVNULL)
c, _ = s.accept()
check(p.wait() == 74 and p.stderr.read() == b'splice: %s: read: no byte for 1s\n' % word.encode())
