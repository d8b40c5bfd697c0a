import json
import os
import subprocess
import time

from splicing import arguments, check, in_thread, listen, start

option = arguments[0]

content = os.urandom(300001)
held = []


def run(name, sink, meanwhile=lambda: None):
    began = time.monotonic()
    p = start('-', name, option, sink, '--stats', 'json', stdin=subprocess.PIPE)
    held.append(meanwhile())
    p.stdin.write(content)
    p.stdin.close()
    said = p.stderr.read()
    status = p.wait(20)
    took = time.monotonic() - began
    return status == 0 and took < 18 and open(name, 'rb').read() == content, sink, status, took, said


def peer(kind, name):
    s, word = listen()

    def meanwhile():
        c, _ = s.accept()
        if kind == 'chatty':
            c.sendall(b'220 hello' * 1000)
        if kind == 'silent':
            in_thread(lambda: [None for _ in iter(lambda: c.recv(100000), b'')])
        return c

    return run(name, word, meanwhile)


# Reads nothing; reads and never ends; greets and never reads.
runs = [in_thread(peer, kind, 'b%d' % n) for n, kind in enumerate(('stuck', 'silent', 'chatty'))]
programs = (
    'cat >/dev/null; sleep 25; true',
    "trap '' TERM; cat >/dev/null; sleep 25; sleep 25",
    'sleep 25; true',
)
programs = [in_thread(run, 'c%d' % n, 'exec:' + command) for n, command in enumerate(programs)]
for join in runs + programs:
    isWell, *more = join()
    check(isWell, *more)
    if join in programs:
        check(json.loads(more[-1].splitlines()[-1])['sinks'][1]['error'] is not None, more)
