import os
import socket
import subprocess

from relaying import name, Relay, upstream
from splicing import check, splice, until

up = upstream()
open('keep', 'w').write('kept')
os.link('keep', 'same')
s = socket.socket()
s.bind(('127.0.0.1', 0))
own = '127.0.0.1:%d' % s.getsockname()[1]
s.close()
taps = [
    '--tap-upstream', 'keep', '--tap-downstream', 'new',
    '--tap-downstream', 'exec:touch ran; exec sleep 60',
]
for words, status in [
    ([name(up), name(up)], 73),
    ([own, own], 64),
    (['127.0.0.1:0', 'no name:1'], 73),
    (['--admin', name(up), '127.0.0.1:0', name(up)], 73),
    (['--tap-upstream', 'tcp:' + own, own, name(up)], 64),
    (['--tap-upstream', 'tcp:localhost:' + own.split(':')[1], own, name(up)], 64),
    (['--tap-downstream', 'unix:./own', 'unix:own', name(up)], 64),
    (['--tap-downstream', './new', own, name(up)], 73),
    (['--tap-upstream', 'append:same', own, name(up)], 73),
]:
    p = subprocess.run([splice, 'relay', *taps, *words], stderr=subprocess.PIPE, timeout=20)
    check(p.returncode == status and p.stderr.count(b'\n') == 1 and b'listening' not in p.stderr, words, p)
    check(
        sorted(os.listdir('.')) == ['keep', 'same'] and open('keep').read() == 'kept', words, os.listdir('.')
    )
# Nor those of another one that has its port.
r = Relay('--tap-upstream', 'seen', upstreams=[up], listen=own)
client, far = r.pair()
client.sendall(b'first')
check(far.recv(5) == b'first')
until(lambda: open('seen').read() == 'first')
p = subprocess.run(
    [splice, 'relay', '--tap-upstream', 'seen', own, name(up)], stderr=subprocess.PIPE, timeout=20
)
check(p.returncode == 73 and open('seen').read() == 'first', p)
client.close()
far.close()
check(r.stop() == 0)
