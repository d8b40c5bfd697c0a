# A file, a directory, a device, a connection; what cannot be asked without doing something is not.
import os
import socket
import subprocess

from diagnosing import Diagnosis, another_user
from splicing import check, in_thread, listen, splice

with open('file', 'w') as file:
    file.write('content')
os.mkfifo('fifo')
listener, word = listen()
named = socket.socket(socket.AF_UNIX)
named.bind('named')
named.listen()
d = Diagnosis('file', 'fifo', '/dev/full', word, 'unix:named', 'named', '/proc/meminfo')
titles = [section['title'] for section in d.whole['sections'][4:]]
check(titles == ['file', 'fifo', '/dev/full', word, 'unix:named', 'named', '/proc/meminfo'], titles)
check(d.splices('this file') == (True, None) and d.rows['this file']['to']['reason'], d.rows['this file'])
check(d.splices('this connection') == (True, True))
check(d.splices('this device') == (True, False))
check(d.rows['this fifo']['value'] == 'not opened')
check(d.rows['this socket']['value'] == 'not connected to')

listener.close()
d = Diagnosis('missing', word, '/', status=66)
check(d.errors == 'splice: missing: open: No such file or directory\n'
      'splice: %s: connect: Connection refused\n' % word, d.errors)
check(d.whole['sections'][-1]['title'] == '/')
for wrong in '-', 'fd:3', 'exec:true', 'tcp-listen:9', 'zero:', 'append:x':
    run = subprocess.run([splice, 'doctor', wrong], capture_output=True)
    check(run.returncode == 64 and b'doctor asks a file, a directory' in run.stderr, run)

# A link is what it leads to, and its file system that of the file.
if os.path.exists('/dev/shm'):
    with open('/dev/shm/splice-doctor-%d' % os.getpid(), 'w') as file:
        os.symlink(file.name, 'link')
    d = Diagnosis('link')
    os.unlink(file.name)
    check([name for name in d.kinds() if name.startswith('file on')] == ['file on tmpfs'], d.kinds())
    check(d.rows['files on tmpfs']['value'] == 'not tried: its directory is on another file system', d.rows)

# A server that greets is not reset, and its greeting is nobody's.
with socket.create_server(('127.0.0.1', 0)) as server:
    asking = in_thread(lambda: Diagnosis('tcp:127.0.0.1:%d' % server.getsockname()[1]))
    peer, _ = server.accept()
    peer.sendall(b'220 ready')
    asking()
    check(peer.recv(10) == b'')
# A file that may not be read.
os.chmod('file', 0)
user = another_user()
if user:
    os.chmod('.', 0o755)
    d = Diagnosis('file', status=66, **user)
    check(d.errors == 'splice: file: open: Permission denied\n', d.errors)
