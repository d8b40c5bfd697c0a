import json
import os
import signal

from splicing import check, start, until

size = os.path.getsize('a')
os.mkfifo('f')
with open('a') as a:
    p = start('-', 'f', 'b', '--stats', 'json', stdin=a)
    f = open('f', 'rb')
    until(lambda: os.path.exists('b') and os.path.getsize('b') == size)
    p.send_signal(signal.SIGINT)
    said = p.stderr.read().decode().splitlines()
    p.wait(20)
    check(os.lseek(a.fileno(), 0, os.SEEK_CUR) == size, said)
check(json.loads(said[-1])['received'] == size, said)
