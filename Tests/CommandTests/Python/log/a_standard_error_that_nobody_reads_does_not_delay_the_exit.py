import subprocess
import time

from splicing import check, splice
from unread import begin, full_pipe, serves

p, read = begin()
serves(50)
since = time.monotonic()
p.terminate()
check(p.wait(20) == 0)
check(time.monotonic() - since < 10, 'late')
# Nor an error at the start.
open('file', 'w').write('something')
read, write = full_pipe()
check(
    subprocess.run([splice, 'relay', 'unix:missing/front', 'unix:up'], stderr=write, timeout=20).returncode
    == 73
)
