import resource

from filing import Files
from splicing import check, until

open('a', 'w').write('content')
with open('big', 'wb') as file:
    file.truncate(1 << 20)
f = Files()
resource.prlimit(f.process.pid, resource.RLIMIT_NOFILE, (f.descriptors() + 20, f.descriptors() + 20))
before = f.descriptors()
many = []
for _ in range(100):
    s = f.connect()
    s.sendall(b'GET /big HTTP/1.1\r\nhost: x\r\n\r\n')
    many.append(s)
until(lambda: f.descriptors() >= before + 18)
for s in many:
    s.close()
until(lambda: f.ask('/a')[1] == b'content')
until(lambda: f.descriptors() <= before + 8)
check(f.stop() == 0)
