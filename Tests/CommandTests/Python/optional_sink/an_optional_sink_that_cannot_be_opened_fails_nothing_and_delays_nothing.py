import json
import os
import subprocess
import time

from splicing import arguments, check, listen_without_room, splice

option = arguments[0]

content = os.urandom(3000001)
open('a', 'wb').write(content)
os.mkfifo('fifo')
os.mkfifo('in')
held, hangs = listen_without_room()
for sink, act in [
    ('fifo', 'open'),
    (hangs, 'connect'),
    ('tcp:127.0.0.1:1', 'connect'),
    ('tcp-listen:0', 'accept'),
    ('unix:none', 'connect'),
    ('/no/such/file', 'open'),
    ('new/', 'open'),
    ('/no/', 'open'),
    ('fd:9', 'open'),
    ('a', 'open'),
    ('b', 'open'),
    ('unix-listen:s', 'accept'),
]:
    for words, given in [(['a', 'b'], None), (['-', 'b'], content)]:
        # From standard input it is a sink like others.
        if (sink, words[0]) == ('a', '-'):
            continue
        began = time.monotonic()
        p = subprocess.run(
            [splice, *words, option, sink, '--stats', 'json'], input=given, stderr=subprocess.PIPE, timeout=20
        )
        took = time.monotonic() - began
        check(p.returncode == 0, sink, p.stderr)
        check(open('b', 'rb').read() == content and open('a', 'rb').read() == content, sink)
        check(took < 15, sink, took)
        report = json.loads(p.stderr.splitlines()[-1])
        check(report['sinks'][0]['delivered'] == len(content), report)
        error = report['sinks'][1]['error']
        check(report['sinks'][1]['delivered'] == 0 and error and error['act'] == act, sink, report)
        check(b'splice: %s: %s: ' % (sink.encode(), act.encode()) in p.stderr, p.stderr)
        check(not os.path.exists('s'))
