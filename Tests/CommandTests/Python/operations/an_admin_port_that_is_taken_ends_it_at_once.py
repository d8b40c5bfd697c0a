import os
import subprocess

from splicing import check, listen, splice

s, name = listen()
p = subprocess.run(
    [splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', name[4:]], stderr=subprocess.PIPE, timeout=20
)
check(p.returncode == 73, p)
check(name[4:].encode() + b': listen: Address already in use' in p.stderr, p.stderr)
# Another relay's is taken too, although they may share the port for clients;
# a file that a killed one left is not.
first = subprocess.Popen(
    [splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'unix:admin'], stderr=subprocess.PIPE
)
while b': admin' not in first.stderr.readline():
    pass
p = subprocess.run(
    [splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'unix:admin'],
    stderr=subprocess.PIPE,
    timeout=20,
)
check(p.returncode == 73, p)
first.kill()
first.wait()
next = subprocess.Popen(
    [splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'unix:admin'], stderr=subprocess.PIPE
)
while b': admin' not in next.stderr.readline():
    pass
next.terminate()
check(next.wait(20) == 0 and not os.path.exists('admin'))
p = subprocess.run(
    [splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'systemd'], stderr=subprocess.PIPE, timeout=20
)
check(p.returncode == 64, p)
