# A file, a directory, a device, a connection; what cannot be asked without doing something is not.
import os
import socket
import subprocess

from diagnosing import Diagnosis
from splicing import check, listen, splice

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
check(d.splices('this file') == (True, None))
check(d.splices('this connection') == (True, True))
check(d.splices('this device') == (True, False))
check(d.rows['this fifo']['value'] == 'not opened')
check(d.rows['this socket']['value'] == 'not connected to')

listener.close()
d = Diagnosis('missing', word, '/', status=66)
check(d.errors == 'splice: missing: look at: No such file or directory\n'
      'splice: %s: connect: Connection refused\n' % word, d.errors)
check(d.whole['sections'][-1]['title'] == '/')
for wrong in '-', 'fd:3', 'exec:true', 'tcp-listen:9', 'zero:', 'append:x':
    run = subprocess.run([splice, 'doctor', wrong], capture_output=True)
    check(run.returncode == 64 and b'doctor asks a file, a directory' in run.stderr, run)
