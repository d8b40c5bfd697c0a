import os
import subprocess

from splicing import check, splice

open('f', 'wb').write(b'content')
os.symlink('newdir/', 'l')
os.symlink('newdir2///', 'm')
os.symlink('l', 'n')
for sink in ('l', 'm', 'n', 'append:l', 'append:m'):
    p = subprocess.run([splice, 'f', sink], stderr=subprocess.PIPE)
    check(p.returncode == 73 and p.stderr == b'splice: %s: open: Is a directory\n' % sink.encode(), p)
    check(sorted(os.listdir('.')) == ['f', 'l', 'm', 'n'], os.listdir('.'))
