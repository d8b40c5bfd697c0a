# In namespaces of its own: nothing is mounted on /proc, and what is here cannot be written to.
import os
import subprocess

from diagnosing import Diagnosis
from splicing import check, inside, splice

inside()
usual = Diagnosis()
os.mkdir('here')
subprocess.run(['mount', '-t', 'tmpfs', 'none', 'here'], check=True)
subprocess.run(['mount', '-o', 'remount,ro', 'here'], check=True)
d = Diagnosis(cwd='here')
row = d.rows['files on tmpfs']
check('Read-only file system' in row['value'], row)
for kind in 'pipe', 'TCP over IPv4', 'memory file (memfd)', '/proc/meminfo':
    check(d.splices(kind) == usual.splices(kind), d.rows[kind])

subprocess.run(['mount', '-t', 'tmpfs', 'none', '/proc'], check=True)
d = Diagnosis()
for name in ('sandbox', 'pages in use', 'pages of a user', 'largest, unprivileged', 'flows at once, large pipes',
             'flows at once, new pipes'):
    check(d.rows[name]['value'] == 'unknown', d.rows[name])
check(d.splices('/proc/meminfo') == (None, None), d.rows['/proc/meminfo'])
for kind in 'pipe', 'TCP over IPv4', 'memory file (memfd)', 'memory (vmsplice)', 'second pipe (tee)':
    check(d.splices(kind) == usual.splices(kind) and d.pages(kind) == usual.pages(kind), d.rows[kind])
# All the command does goes on there: Swift's own arguments are read from /proc.
with open('file', 'w') as file:
    file.write('content')
subprocess.run([splice, 'file', 'copy'], check=True)
check(open('copy').read() == 'content')
