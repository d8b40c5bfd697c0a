import subprocess
import tempfile

from splicing import check, splice

open('data', 'wb').write(b'x' * 1000)
with open('hole', 'wb') as f:
    f.truncate(1 << 20)
with tempfile.TemporaryDirectory(dir='/dev/shm') as memory:
    for source in ('data', 'hole'):
        p = subprocess.run(
            [splice, source, memory + '/sink', '--sink-offset', str((1 << 63) - 1)], stderr=subprocess.PIPE
        )
        check(p.returncode == 74 and b': write: ' in p.stderr, source, p)
