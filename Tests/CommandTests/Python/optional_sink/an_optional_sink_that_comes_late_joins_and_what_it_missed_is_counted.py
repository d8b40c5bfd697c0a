import json
import os
import select
import subprocess

from splicing import check, start, until

os.mkfifo('late')
# Of a file, too, which the others could read by themselves.
p = start('-', 'b', '--detach-slow', 'late', '--stats', 'json', stdin=subprocess.PIPE)
first, second = os.urandom(50000), os.urandom(60000)
p.stdin.write(first)
p.stdin.flush()
until(lambda: os.path.exists('b') and os.path.getsize('b') == len(first))
late = open('late', 'rb')
# It has joined once something more has come: the fifo has a writer then.
p.stdin.write(second)
p.stdin.flush()
until(lambda: os.path.getsize('b') == len(first) + len(second))
got, third = b'', os.urandom(1000)

while not got:
    p.stdin.write(third)
    p.stdin.flush()
    if select.select([late], [], [], 0.05)[0]:
        got = os.read(late.fileno(), 100000)
p.stdin.close()
got += late.read()
check(p.wait(20) == 0)
everything = open('b', 'rb').read()
check(everything.endswith(got) and len(got) < len(everything), len(got))
report = json.loads(p.stderr.read().splitlines()[-1])['sinks'][1]
check(report['delivered'] == len(got) and report['skipped'] == len(everything) - len(got), report)
