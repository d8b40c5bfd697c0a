import json
import os
import subprocess

from splicing import all_of, check, in_thread, listen, splice, until

content = os.urandom(200001)
open('a', 'wb').write(content)
sum = subprocess.run(['sha256sum', '-'], input=content, stdout=subprocess.PIPE).stdout
s, word = listen()
for option in ('--skip-slow', '--detach-slow'):
    for name in 'ce':
        if os.path.exists(name):
            os.unlink(name)
    accepted = in_thread(lambda: s.accept()[0])
    p = subprocess.Popen(
        [
            splice, '-', 'b', option, 'c', option, 'append:d', option, 'exec:cat >e', option, word,
            option, 'digest:sha256', '--stats', 'json',
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # Nothing comes before all of them are there.
    far = in_thread(all_of, accepted())
    until(lambda: os.path.exists('c') and os.path.exists('e'), 'open')
    said = p.communicate(content, timeout=30)[1]
    check(p.returncode == 0, said)
    check(far() == content)
    for name in 'bce':
        check(open(name, 'rb').read() == content, name)
    check(said.splitlines()[0] + b'\n' == sum, said)
    report = json.loads(said.splitlines()[-1])
    check(
        [x['delivered'] for x in report['sinks']] == [len(content)] * 6
        and not any(x['error'] or x['skipped'] for x in report['sinks']),
        report,
    )
check(open('d', 'rb').read() == content * 2)
