import glob
import os
import subprocess

from broadcasting import Broadcast, units
from serving import admin, admin_port, metric
from splicing import check, inside, until

inside()
os.mkdir('disk')
subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', 'disk'], check=True)
size = 100_000 // 188 * 188
b = Broadcast(*admin, '--record', 'disk/show', '--align', '188', '--rotate-size', '100000', '--once')
port = admin_port(b)
with open('disk/other', 'wb') as other:
    other.write(bytes((1 << 20) - 80_000))
sender = b.sender()
sender.sendall(units(1000))
b.line('cannot record')
os.remove('disk/other')
# It goes on by itself, says so, and would say that it has failed again.
until(lambda: metric(port, 'splice_broadcast_recording{mount="/live"}') == 1)
until(lambda: metric(port, 'splice_broadcast_recorded_bytes_total{mount="/live"}') == 188_000)
sender.sendall(units(1000, first=1000))
sender.close()
check(b.process.wait(20) == 0)
files = sorted(glob.glob('disk/show-*'), key=lambda f: open(f, 'rb').read(5))
check([os.path.getsize(f) for f in files] == [size] * 3 + [2000 * 188 - 3 * size], files)
check(b''.join(open(f, 'rb').read() for f in files) == units(1000) + units(1000, first=1000))
