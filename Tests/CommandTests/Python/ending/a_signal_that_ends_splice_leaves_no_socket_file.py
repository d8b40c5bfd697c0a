import os
import signal
import subprocess

from splicing import arguments, check, start

word = arguments[0]
number = signal.Signals[arguments[1]]
p = start(*([word] if word else []), 'unix-listen:s', 'null:', '--explain', '--stats', 'text')
check(b'listening' in p.stderr.readline())
p.send_signal(number)
check(p.wait(20) == -number, p.returncode)
said = p.stderr.read()
check(b'crashed' not in said and b'0 bytes received' in said, said)
check(not os.path.exists('s'))
# In the middle of a copy.
p = start('zero:', '-', stdout=subprocess.PIPE)
p.stdout.read(10)
p.send_signal(number)
check(p.wait(20) == -number, p.returncode)
check(p.stderr.read() == b'')
# As nohup begins it, or a script in the background.
p = start(
    '-', '-',
    preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
)
p.stdin.write(b'x')
p.stdin.flush()
p.stdout.read(1)
p.send_signal(number)
p.stdin.close()
check(p.wait(20) == 0)
