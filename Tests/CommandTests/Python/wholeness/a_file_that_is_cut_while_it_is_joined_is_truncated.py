import os
import subprocess

from splicing import check, splice, until

with open('file', 'wb') as file:
    file.write(b'x' * 1_000_000)
for words in [], ['--half-close-timeout', '5s']:
    os.truncate('file', 0)
    os.truncate('file', 1_000_000)
    if os.path.exists('joined'):
        os.unlink('joined')
    with open('file', 'rb') as source:
        process = subprocess.Popen(
            [splice, 'join', '-', 'exec:cat > joined', '--rate-limit', '500K', *words],
            stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until(lambda: os.path.exists('joined') and os.path.getsize('joined') > 0)
        os.truncate('file', 100)
        errors = process.communicate(timeout=30)[1]
    check(process.returncode == 74 and b'bytes are missing' in errors, process.returncode, errors)
