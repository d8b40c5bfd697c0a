import os
import signal
import subprocess

from splicing import check, is_asleep, start, until

first = start('tcp-listen:127.0.0.1:0', 'out')
until(lambda: os.path.exists('out') and is_asleep(first.pid))
second = start('-', 'out', stdin=subprocess.PIPE)
until(lambda: is_asleep(second.pid))
first.send_signal(signal.SIGTERM)
check(first.wait(timeout=20) == 143)
second.stdin.write(b'hello')
second.stdin.close()
check(second.wait(timeout=20) == 0, second.stderr.read())
check(open('out', 'rb').read() == b'hello')

# With nobody else there, it goes.
os.unlink('out')
first = start('tcp-listen:127.0.0.1:0', 'out')
until(lambda: os.path.exists('out') and is_asleep(first.pid))
first.send_signal(signal.SIGTERM)
check(first.wait(timeout=20) == 143)
check(not os.path.exists('out'))
