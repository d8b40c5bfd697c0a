import os
import subprocess

from splicing import check, start, until

p = start('a', 'b', '--rate-limit', '100K', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
until(lambda: p.poll() is not None or os.path.exists('b') and os.path.getsize('b'))
check(p.poll() is None)
links = [os.readlink('/proc/%d/fd/%s' % (p.pid, n)) for n in os.listdir('/proc/%d/fd' % p.pid) if int(n) > 2]
p.kill()
p.wait()
check(not [l for l in links if l.startswith('pipe:')], links)
