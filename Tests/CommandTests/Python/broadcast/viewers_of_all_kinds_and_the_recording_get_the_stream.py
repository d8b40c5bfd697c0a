import os
import socket

from broadcasting import Broadcast
from splicing import all_of, check, in_thread

content = os.urandom(20_000_000)
b = Broadcast('--tcp', '127.0.0.1:0', '--unix', 'viewers', '--record', 'show', '--once')
plain = b.port_in(': listening')
viewers = [b.viewer(), b.viewer(), socket.create_connection(('127.0.0.1', plain)), socket.socket(socket.AF_UNIX)]
viewers[3].connect('viewers')
for v in viewers:
    v.settimeout(20)
# Those without a word are there once they are counted.
sender = b.sender()
sender.sendall(b'begin')
got = [in_thread(all_of, v) for v in viewers[:2]]
for v in viewers[2:]:
    check(v.recv(5, socket.MSG_WAITALL) in (b'begin', b''))
got += [in_thread(all_of, v) for v in viewers[2:]]
sender.sendall(content)
sender.close()
got = [g() for g in got]
check([g == b'begin' + content for g in got[:2]] == [True, True], [len(g) for g in got])
check([g == content for g in got[2:]] == [True, True], [len(g) for g in got])
check(b.process.wait(20) == 0)
check(open('show', 'rb').read() == b'begin' + content)
check(not os.path.exists('show.part') and not os.path.exists('viewers'))
