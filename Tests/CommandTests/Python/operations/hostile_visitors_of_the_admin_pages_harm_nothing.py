import resource
import socket

from relaying import Relay, upstream
from serving import admin, admin_port, ask
from splicing import check, until

up = upstream()
r = Relay(*admin, upstreams=[up])
port = admin_port(r)
client, far = r.pair()
resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
visitors = []
for n in range(1000):
    s = socket.create_connection(('127.0.0.1', port))
    visitors.append(s)
    if n % 2:
        s.sendall(b'GET / HTTP/1.1\r\nx-slow: ')
# Somebody who asks and asks, and never reads.
greedy = socket.create_connection(('127.0.0.1', port))
greedy.setblocking(False)


def push():
    try:
        greedy.send(b'GET / HTTP/1.1\r\nhost: a\r\n\r\n' * 100)
    except BlockingIOError:
        return False
    except OSError:
        return True


until(push)
check(ask(port, '/readyz') == (200, 'ready\n'))
until(lambda: r.descriptors() < 150, 'descriptors')
client.sendall(b'through')
check(far.recv(10) == b'through')
rss = int([l for l in open('/proc/%d/status' % r.process.pid) if l.startswith('VmRSS')][0].split()[1])
check(rss < 400_000, rss)  # KiB, and room for the red zones of a sanitizer
far.close()
client.close()
check(r.stop() == 0)
