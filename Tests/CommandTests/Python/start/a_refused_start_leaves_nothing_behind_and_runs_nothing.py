import os
import signal
import subprocess

from splicing import check, splice, start

open('a', 'wb').write(b'a' * 100)
open('empty', 'wb')
os.symlink('target', 'dangling')
there = sorted(os.listdir('.'))
for words, status in [
    (['a', 'new', '/no/such/sink'], 73),
    (['a', 'new', 'append:new2', '.'], 73),
    (['a', 'exec:touch ran; cat', '/no/such'], 73),
    (['exec:touch ran', 'new', '/no/such'], 73),
    (['exec:touch ran', 'new', 'tcp:127.0.0.1:1'], 73),
    (['/no/such', 'exec:touch ran'], 66),
    (['tcp:127.0.0.1:1', 'new'], 66),
    (['a', 'new', 'a'], 73),
    (['a', 'new', 'exec:touch ran', 'file:new'], 73),
    (['a', 'new', 'fd:9'], 73),
    (['exec:touch ran', 'new', '--offset', '1'], 64),
    (['a', 'exec:touch ran', '--sync'], 64),
    (['exec:touch ran', 'new', 'unix:none'], 73),
    (['a', 'new', 'unix-listen:no/such'], 73),
    (['join', 'exec:touch ran', 'unix:none'], 73),
    (['join', 'exec:touch ran', 'tcp:127.0.0.1:1'], 73),
    (['a', 'new', '/no/such', '--skip-slow', 'exec:touch ran', '--detach-slow', 'new3'], 73),
]:
    p = subprocess.run([splice, *words], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    check(p.returncode in (status, 66 if words[0] == 'join' else status), words, p)
    check(sorted(os.listdir('.')) == there, words, os.listdir('.'))
# Nor one that is interrupted, or timed out, while it waits for a peer.
os.mkfifo('fifo')
there.append('fifo')
p = start('exec:touch ran', 'new', 'unix-listen:s', '--explain')
check(b'listening' in p.stderr.readline())
check(os.path.exists('new'))
p.send_signal(signal.SIGTERM)
check(p.wait(20) == 143)
p = start('fifo', 'new', '--idle-timeout', '200ms')
check(p.wait(20) == 74)
check(sorted(os.listdir('.')) == sorted(there), os.listdir('.'))
# What was there stays as it was; and what came into a new file meanwhile is not removed with it.
p = start('a', 'new', 'empty', 'unix-listen:s', '--explain')
check(b'listening' in p.stderr.readline())
open('new', 'wb').write(b'mine')
p.send_signal(signal.SIGTERM)
check(p.wait(20) == 143)
check(open('new', 'rb').read() == b'mine' and os.path.exists('empty'))
os.unlink('new')
p = start('a', 'new', 'unix-listen:s', '--explain')
check(b'listening' in p.stderr.readline())
os.unlink('new')
open('new', 'wb')
p.send_signal(signal.SIGTERM)
check(p.wait(20) == 143)
check(os.path.exists('new'), 'another file of that name')
# A link to nowhere makes its target, as with a shell.
check(subprocess.run([splice, 'a', 'dangling']).returncode == 0 and open('target', 'rb').read() == b'a' * 100)
# A copy that began and failed keeps what it has, an empty one too.
check(
    subprocess.run([splice, 'exec:exit 3', 'begun'], stderr=subprocess.PIPE).returncode == 74
    and os.path.exists('begun')
)
