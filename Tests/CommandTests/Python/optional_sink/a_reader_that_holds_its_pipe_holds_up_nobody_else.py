import os
import subprocess
import sys
import time

from splicing import check, splice, until

# It splices into a socket that nobody reads, and keeps the lock of its pipe meanwhile.
slow = '''
import os, socket
ours, theirs = socket.socketpair()
while os.splice(0, ours.fileno(), 1 << 20): pass
'''
with open('slow.py', 'w') as file:
    file.write(slow)
for option in '--skip-slow', '--detach-slow':
    process = subprocess.Popen(
        [splice, '-', 'out', option, f'exec:exec {sys.executable} slow.py', '--force'],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    sent = 0
    end = time.monotonic() + 20
    while sent < 30 << 20:
        check(time.monotonic() < end, option, sent)
        sent += os.write(process.stdin.fileno(), bytes(1 << 16))
    until(lambda: os.path.getsize('out') == sent, option, os.path.getsize('out'), sent)
    process.stdin.close()
    check(process.wait(timeout=30) in (0, 74), process.returncode)
    os.unlink('out')
