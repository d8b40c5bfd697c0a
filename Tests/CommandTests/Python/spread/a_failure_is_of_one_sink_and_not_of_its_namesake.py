import json
import select
import subprocess

from splicing import all_of, check, listen, reset, start

s, word = listen()
p = start('-', word, word, '--stats', 'json', stdin=subprocess.PIPE)
one, two = [s.accept()[0] for _ in range(2)]
p.stdin.write(b'a')
p.stdin.flush()
check(one.recv(1) == two.recv(1) == b'a')
reset(one)
sent = b''

while not select.select([p.stderr], [], [], 0.02)[0]:
    p.stdin.write(b'b')
    p.stdin.flush()
    sent += b'b'
p.stdin.close()
two.settimeout(20)
check(all_of(two) == sent)
two.close()
check(p.wait(20) == 74)
errors = [sink['error'] for sink in json.loads(p.stderr.read().splitlines()[-1])['sinks']]
check(errors[0] and not errors[1], errors)
