# Every thread that a client's request comes to is confined: it has given up new privileges for good, which comes
# with Landlock.
import glob

from filing import Files
from splicing import check, until

open('a', 'w').write('content')
f = Files('--access-log', 'log')
check(f.ask('/a')[1] == b'content')


def threads():
    """Names of threads, and whether each is confined."""
    found = []
    for path in glob.glob(f'/proc/{f.process.pid}/task/*/status'):
        with open(path) as file:
            fields = dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)
        found.append((fields['Name'], fields['NoNewPrivs'] == '1'))
    return found


confined = {name for name, is_confined in threads() if is_confined}
for kind in 'splice-serve', 'NIO-ELT', 'splice-disk':
    check(any(name.startswith(kind) for name in confined), kind, threads())
    check(all(is_confined for name, is_confined in threads() if name.startswith(kind)), kind, threads())
# The log is another thread's, and opened anew outside of the directory.
check(not all(is_confined for _, is_confined in threads()))
until(lambda: 'GET /a' in open('log').read())
check(f.stop() == 0)
