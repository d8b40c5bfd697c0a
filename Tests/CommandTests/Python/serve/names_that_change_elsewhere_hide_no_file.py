# What follows `..` in a link is looked at again when anything was renamed meanwhile: whatever this machine
# does with other names, every file is found.
import os
import subprocess
import sys

from filing import Files
from splicing import check

os.makedirs('www/d')
open('www/f', 'w').write('content')
for number in range(400):
    os.symlink('../f', 'www/d/%d' % number)
f = Files(directory='www')
renaming = """
import os
open('1', 'w')
print(flush=True)
while True:
    os.rename('1', '2')
    os.rename('2', '1')
"""
with subprocess.Popen([sys.executable, '-c', renaming], stdout=subprocess.PIPE) as other:
    try:
        other.stdout.readline()
        found = [f.status('/d/%d' % number) for number in range(400)]
        check(found == [200] * 400, found)
    finally:
        other.kill()
