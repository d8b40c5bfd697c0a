import os
import socket
import subprocess

from relaying import Relay
from splicing import all_of, check, start

for name in (b's\xff', b's\n\x1b', b'@splice-%d-\xfe' % os.getpid()):
    p = start(b'unix-listen:' + name, '-', '--explain', stdout=subprocess.PIPE)
    line = p.stderr.readline()
    check(b'listening' in line and b'\x1b' not in line, line)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(b'\0' + name[1:] if name[:1] == b'@' else name)
    s.sendall(b'hello')
    s.close()
    check(p.wait(20) == 0 and p.stdout.read() == b'hello', p.stderr.read())
    check(not os.path.exists(name), 'left')
    up = socket.socket(socket.AF_UNIX)
    up.bind(b'\0' + name[1:] if name[:1] == b'@' else name)
    up.listen()
    up.settimeout(20)
    p = start('null:', b'unix:' + name)
    c, _ = up.accept()
    c.close()
    check(p.wait(20) == 0, p.stderr.read())
    # Behind a relay as well.
    r = Relay(upstreams=[os.fsdecode(b'unix:' + name)], listen=os.fsdecode(b'unix:r' + name))
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(20)
    c.connect(b'r' + name)
    far, _ = up.accept()
    far.sendall(b'through')
    far.close()
    check(all_of(c) == b'through')
    c.close()
    check(r.stop() == 0)
    up.close()
    check(not os.path.exists(b'r' + name), 'left')
