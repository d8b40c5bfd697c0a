import os
import socket

from filing import Files
from splicing import all_of, check, until

size = 64 << 20
f = Files()


def made(name):
    with open(name, 'wb') as file:
        file.truncate(size)
    return name


# One that gets shorter ends the connection: never a wrong length.
s, rest = f.begin('/' + made('shrinks'), size, last=False)
os.truncate('shrinks', 10 << 20)
got = len(rest + all_of(s))
check(got < size, got)
# One that grows is sent as long as was promised.
s, rest = f.begin('/' + made('grows'), size, last=False)
open('grows', 'ab').write(b'x' * 1000)
s.sendall(b'GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
got = rest + all_of(s)
check(got[size:].startswith(b'HTTP/1.1 404 ') and got[:size].count(0) == size)
# One that is removed or replaced is sent to its end.
s, rest = f.begin('/' + made('leaves'), size, last=False)
os.unlink('leaves')
os.rename(made('other'), 'grows')
s.shutdown(socket.SHUT_WR)
check(len(rest + all_of(s)) == size)
# What has a name now is noticed.
open('name', 'w').write('one')
check(f.ask('/name')[1] == b'one')
open('name', 'w').write('other')
check(f.ask('/name')[1] == b'other')
open('new', 'w').write('a third')
os.rename('new', 'name')
until(lambda: f.ask('/name')[1] == b'a third')
os.unlink('name')
until(lambda: f.status('/name') == 404)
check(f.stop() == 0)
