import json
import subprocess

from splicing import check, start

p = start(
    '-', 'out', '--skip-slow', 'copy', '--detach-slow', 'digest:sha256', '--idle-timeout', '1200ms',
    '--stats', 'json',
    stdin=subprocess.PIPE,
)
p.stdin.write(b'a')
p.stdin.flush()
check(p.wait(20) == 74)
said = p.stderr.read().splitlines()
check(said[0] == b'splice: -: read: no byte for 1200ms' and len(said) == 2, said)
check([sink['error'] for sink in json.loads(said[1])['sinks']] == [None] * 3, said)
