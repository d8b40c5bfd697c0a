import subprocess

from splicing import check, splice

data = b'x' * 100_000
with open('file', 'wb') as file:
    file.write(data)


def run(*words):
    read = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process = subprocess.Popen([splice, *words], stderr=read.stdin)
    got = read.communicate(timeout=30)[0]
    return process.wait(timeout=30), got


status, got = run('file', 'other', 'fd:2', 'digest:sha256', '--stats', 'json')
check(status == 0 and got.startswith(data), status, got[:200])
check(b'  file\n' in got[len(data):] and b'"seconds"' in got[len(data):], got[len(data):])
status, got = run('file', 'fd:2', 'exec:cat > /dev/null; exit 3')
check(status == 74 and b'exit' in got[len(data):], status, got[len(data):])
