import os
import subprocess
import sys

from relaying import Relay, upstream
from splicing import check

# The names are of a namespace of mounts of its own.
if 'inside' not in os.environ:
    sys.exit(
        subprocess.call(
            ['unshare', '-rm', sys.executable, *sys.orig_argv[1:]], env={**os.environ, 'inside': '1'}
        )
    )
open('hosts', 'w').write('127.0.0.1 here.example\n')
subprocess.run(['mount', '--bind', 'hosts', '/etc/hosts'], check=True)
first = upstream()
where = first.getsockname()[1]
second = upstream(where=('127.0.0.2', where))
r = Relay('--health-interval', '50ms', '--half-close-timeout', '100ms', upstreams=['here.example:%d' % where])


def goes_to(s):
    client = r.connect()
    client.sendall(b'x')
    try:
        while s.accept()[0].recv(1) != b'x':
            pass
    finally:
        client.close()


goes_to(first)
open('hosts', 'w').write('127.0.0.1 localhost\n')
r.line("cannot resolve the upstream's name")
goes_to(first)
open('hosts', 'w').write('127.0.0.2 here.example\n')
while True:  # until the name was looked up again
    client = r.connect()
    client.sendall(b'y')
    second.settimeout(0.2)
    try:
        found = second.accept()[0].recv(1)
    except TimeoutError:
        found = b''
    client.close()
    if found:
        break
check(r.stop() == 0)
