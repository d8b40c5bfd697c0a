import os
import socket

from broadcasting import Broadcast
from serving import admin, admin_port, metric
from splicing import all_of, check, in_thread, until

content = os.urandom(20_000_000)
b = Broadcast(*admin, '--tcp', '127.0.0.1:0', '--unix', 'viewers', '--record', 'show', '--once')
plain = b.port_in(': listening')
port = admin_port(b)
viewers = [b.viewer(), b.viewer(), socket.create_connection(('127.0.0.1', plain)), socket.socket(socket.AF_UNIX)]
viewers[3].connect('viewers')
for v in viewers:
    v.settimeout(20)
# Those without a word are there once they are counted.
until(lambda: metric(port, 'splice_broadcast_viewers_now{mount="/live"}') == 4)
sender = b.sender()
got = [in_thread(all_of, v) for v in viewers]
sender.sendall(content)
sender.close()
got = [g() for g in got]
check(all(g == content for g in got), [len(g) for g in got])
check(b.process.wait(20) == 0)
check(open('show', 'rb').read() == content)
check(not os.path.exists('show.part') and not os.path.exists('viewers'))
