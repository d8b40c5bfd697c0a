import json
import os

from splicing import check, is_reset, listen, start

with open('a', 'wb') as f:
    f.truncate(20000000)
s, word = listen()
os.mkfifo('f')
p = start('a', 'f', word, '--stats', 'json')
c, _ = s.accept()
c.settimeout(20)
f = open('f', 'rb')
check(len(f.read(1)) == 1 and len(c.recv(1)) == 1)
os.truncate('a', 10000000)
check(len(f.read(9999999)) == 9999999)
check(is_reset(c))
check(f.read() == b'')
said = p.stderr.read().decode().splitlines()
check(p.wait(20) == 74, p.returncode, said)
check(said[0] == 'splice: a: read: truncated: 10000000 bytes are missing', said)
stats = json.loads(said[-1])
check(stats['received'] == 10000000, said)
check([sink['delivered'] for sink in stats['sinks']] == [10000000, 10000000], said)
