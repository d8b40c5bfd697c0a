import os
import subprocess

from splicing import check, splice

with open('big', 'wb') as file:
    file.truncate(3 << 20)
source, sink = os.pipe()
done = subprocess.run(
    [splice, 'big', f'fd:{sink}', '--idle-timeout', '500ms'],
    pass_fds=[sink], stderr=subprocess.PIPE, timeout=30)
check(done.returncode == 74 and f'fd:{sink}: write: no byte'.encode() in done.stderr, done)
