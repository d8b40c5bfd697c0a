import os
import socket
import time

from splicing import arguments, check, is_asleep, start, until

is_first = arguments[0] == 'true'
os.mkfifo('go')
program = 'exec:exec 0<&-; echo a; read x < go; head -c 300000 /dev/zero'
words = [program, 'tcp-listen:0'] if is_first else ['tcp-listen:0', program]
p = start('join', *words, '--explain')
port = int(p.stderr.readline().split()[-1])
c = socket.create_connection(('127.0.0.1', port))
check(c.recv(2) == b'a\n')
c.sendall(b'x' * 1000)
until(lambda: is_asleep(p.pid), 'nobody takes that')
with open('go', 'w') as go:
    go.write('go\n')
got = 0
try:
    while d := c.recv(10000):
        got += len(d)
        # A reader that is slow.
        time.sleep(0.001)
except ConnectionResetError:
    got += 1
check(got == 300001, got)
errors = p.stderr.read()
check(p.wait() == 74 and b'write: Broken pipe' in errors, errors)
