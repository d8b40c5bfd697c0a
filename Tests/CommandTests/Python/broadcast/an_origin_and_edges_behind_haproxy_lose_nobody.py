"""An origin and two edges, each in a network namespace of its own, and a hundred viewers behind HAProxy."""
import atexit
import os
import re
import selectors
import signal
import socket
import subprocess
import threading

from broadcasting import Broadcast
from serving import admin_port
from splicing import check, inside, until

inside({'net/ipv4/ip_forward': '1'})
VIEWERS, PACKET = 100, 188


def machine(number):
    """A namespace at the end of a cable, as what a command is to be begun with."""
    holder = subprocess.Popen(['unshare', '-n', 'sleep', '600'])
    atexit.register(holder.kill)
    into = ['nsenter', '-t', str(holder.pid), '-n']
    until(lambda: os.readlink('/proc/%d/ns/net' % holder.pid) != os.readlink('/proc/self/ns/net'))
    hub, here = 'hub%d' % number, '10.77.%d.1' % number
    for words in [
        ['ip', 'link', 'add', hub, 'type', 'veth', 'peer', 'name', 'cable', 'netns', str(holder.pid)],
        ['ip', 'addr', 'add', here + '/24', 'dev', hub],
        ['ip', 'link', 'set', hub, 'up'],
        [*into, 'ip', 'addr', 'add', '10.77.%d.2/24' % number, 'dev', 'cable'],
        [*into, 'ip', 'link', 'set', 'cable', 'up'],
        [*into, 'ip', 'link', 'set', 'lo', 'up'],
        [*into, 'ip', 'route', 'add', 'default', 'via', here],
    ]:
        subprocess.run(words, check=True)
    return into


# The machines of haproxy, and of the viewers and the sender, are this one.
machines = {number: machine(number) for number in (1, 2, 3)}


def origin():
    return Broadcast('--align', str(PACKET), source='tcp-listen:0.0.0.0:9001', http='0.0.0.0:8000', wrap=machines[1])


def edge(number):
    b = Broadcast(
        '--align', str(PACKET), '--admin', '0.0.0.0:9900', '--drain-timeout', '20s',
        source='http://10.77.1.2:8000/live', http='0.0.0.0:8000', wrap=machines[number],
    )
    check(admin_port(b) == 9900)
    return b


class Sender:
    """Numbered packets to the origin, at a steady pace."""

    sent = 0

    def __init__(self):
        self.socket = socket.create_connection(('10.77.1.2', 9001), timeout=20)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def send(self):
        while not self.over.wait(0.005):
            number = Sender.sent
            self.socket.sendall(b'G' + number.to_bytes(4, 'big') + bytes(PACKET - 5))
            Sender.sent = number + 1

    def stop(self):
        self.over.set()
        self.thread.join(20)
        self.socket.close()


class Viewer:
    """One that comes again when it is cut off or told the end, as players do."""

    def __init__(self):
        self.last, self.times, self.missed = -1, 0, []
        self.come()

    def come(self):
        self.socket = socket.create_connection(('127.0.0.1', 5000), timeout=20)
        self.socket.sendall(b'GET /live HTTP/1.1\r\nhost: a\r\n\r\n')
        self.rest, self.is_answered, self.is_first = b'', False, True
        self.times += 1
        viewing.register(self.socket, selectors.EVENT_READ, self)

    def take(self):
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b''
        if not data:
            # What is left of a packet was cut off with its edge.
            viewing.unregister(self.socket)
            self.socket.close()
            return self.come()
        self.rest += data
        if not self.is_answered:
            head, end, rest = self.rest.partition(b'\r\n\r\n')
            if not end:
                return
            check(head.startswith(b'HTTP/1.1 200 OK'), head)
            self.is_answered, self.rest = True, rest
        while len(self.rest) >= PACKET:
            packet, self.rest = self.rest[:PACKET], self.rest[PACKET:]
            check(packet[:1] == b'G' and packet[5:] == bytes(PACKET - 5), 'no whole packet', packet)
            number = int.from_bytes(packet[1:5], 'big')
            # Who comes again may see what it has seen; on one connection nothing comes twice.
            check(self.is_first or number > self.last, number, self.last)
            if not self.is_first and number != self.last + 1:
                self.missed.append((self.last, number))
            self.last, self.is_first = number, False


air = origin()
sender = Sender()
edges = {number: edge(number) for number in (2, 3)}
open('haproxy.cfg', 'w').write('''
global
  stats socket unix@haproxy.sock level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  retries 5
  option redispatch 1
listen viewers
  bind 127.0.0.1:5000
  balance leastconn
  option httpchk GET /readyz
  server edge2 10.77.2.2:8000 check port 9900 inter 200ms fall 1 rise 1
  server edge3 10.77.3.2:8000 check port 9900 inter 200ms fall 1 rise 1
''')
haproxy = subprocess.Popen(['haproxy', '-f', 'haproxy.cfg'], stderr=open('haproxy.log', 'w'))
atexit.register(haproxy.kill)


def up():
    """The edges that HAProxy sends viewers to."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect('haproxy.sock')
            s.sendall(b'show stat\n')
            rows = [line.split(',') for line in s.makefile().read().splitlines() if line.startswith('viewers,edge')]
    except OSError:
        return set()
    return {int(re.sub(r'\D', '', row[1])) for row in rows if row[17] == 'UP'}


until(lambda: up() == {2, 3}, 'both are believed')
viewing = selectors.DefaultSelector()
viewers, over = [Viewer() for _ in range(VIEWERS)], threading.Event()


def view():
    while not over.is_set():
        for key, _ in viewing.select(0.05):
            key.data.take()


watching = threading.Thread(target=view, daemon=True)
watching.start()


def all_see_more():
    now = Sender.sent
    until(lambda: all(v.last > now for v in viewers) or not watching.is_alive(), now, sorted(v.last for v in viewers))
    check(watching.is_alive(), 'a viewer saw what it should not')


all_see_more()
check([v.times for v in viewers] == [1] * VIEWERS)
# One edge is drained: nobody new is sent there, and who was there comes to the other one.
edges[2].process.send_signal(signal.SIGTERM)
check(edges[2].process.wait(30) == 0)
until(lambda: up() == {3}, 'the other one is left')
all_see_more()
moved = sum(v.times > 1 for v in viewers)
check(0 < moved < VIEWERS, moved)
edges[2] = edge(2)
until(lambda: up() == {2, 3}, 'it is believed again')
# The origin is restarted: viewers stay where they are, and see the stream go on.
times = [v.times for v in viewers]
sender.stop()
check(air.stop() == 0)
air = origin()
sender = Sender()
all_see_more()
check([v.times for v in viewers] == times, 'nobody had to come again')
over.set()
watching.join(20)
sender.stop()
# On a connection packets are missed only while the origin was away.
check(all(len(v.missed) <= 1 for v in viewers), [v.missed for v in viewers if len(v.missed) > 1])
for b in [*edges.values(), air]:
    check(b.stop() == 0)
