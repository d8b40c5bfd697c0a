# A disk that is full holds up who waits for room, and when there is some again everything is there, whole.
import os
import subprocess

from recording_lines import content, lines, probe
from splicing import check, inside, until

inside()
os.mkdir('disk')
subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'test', 'disk'], check=True)
with open('disk/other', 'wb') as other:
    other.write(bytes(1 << 20))
count = 40_000
check(len(lines('a', count)) > 3 << 20)
process = probe('exit', 'disk/log', 'a', count)
until(lambda: os.statvfs('disk').f_bfree == 0)
check(process.poll() is None)
os.remove('disk/other')
until(lambda: os.path.getsize('disk/log') >= 2 << 20)
check(process.poll() is None)
subprocess.run(['mount', '-o', 'remount,size=64m', 'disk'], check=True)
check(process.wait(60) == 0)
process.stdout.close()
check(content('disk/log') == lines('a', count))
