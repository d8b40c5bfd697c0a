import atexit
import os
import signal
import subprocess

from resolving import known, resolver, resolving
from splicing import check, splice, until

known(hangs=[], here=['127.0.0.1'])
for words in [
    ['127.0.0.1:0', 'here:80', 'hangs:80', 'hangs:81'],
    ['127.0.0.1:0', 'here:80', 'unix:there', 'hangs:81'],
    ['hangs:0', 'here:80'],
    ['unix:path', 'here:80', '--admin', 'hangs:0'],
]:
    p = subprocess.Popen([splice, 'relay', *words], stderr=subprocess.PIPE, env=resolver)
    atexit.register(p.kill)
    until(lambda: resolving(p.pid) > 0, 'it looks the names up')
    p.send_signal(signal.SIGTERM)
    check(p.wait(20) == 143, words, p.returncode)
    check(not os.path.exists('path'))
