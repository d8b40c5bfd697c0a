# The downloaders that people use get every byte: whole, in parts, resumed, over several connections at once,
# over HTTP/1.0, and when they send content with a GET.
import hashlib
import os
import subprocess

from filing import Files
from splicing import check, until

whole = os.urandom(12_345_678)
digest = hashlib.sha256(whole).hexdigest()
open('disk.img', 'wb').write(whole)
os.mkdir('got')
f = Files('--access-log', 'log')
where = f'http://127.0.0.1:{f.port}/disk.img'


def curl(*words, **more):
    return subprocess.run(
        ['curl', '-sS', '--max-time', '20', *words, where], check=True, stdout=subprocess.PIPE, **more
    ).stdout


def begun(count):
    """A download that stopped after so many bytes, with the time of the file."""
    open('got/disk.img', 'wb').write(whole[:count])
    os.utime('got/disk.img', (os.path.getmtime('disk.img'),) * 2)


def logged(status):
    """How many answers with this status the log has."""
    return open('log').read().count(f' HTTP/1.1" {status} ')


def got():
    return hashlib.sha256(open('got/disk.img', 'rb').read()).hexdigest()


# Parts.
check(curl('-r', '0-99') == whole[:100])
check(curl('-r', '9000000-') == whole[9_000_000:])
check(curl('-r', '-1000') == whole[-1000:])
parts = curl('-r', '0-9,5000000-6999999')
check(whole[:10] in parts and whole[5_000_000:7_000_000] in parts and len(parts) < 2_001_000)
until(lambda: logged(206) == 4)
# Whole, by the older protocol.
check(curl('--http1.0') == whole)
# Content with a GET is not waited for, nor is the client asked for it; the answer is the last.
head = curl('-X', 'GET', '--data', 'content', '-D', '-', '-o', 'got/disk.img').decode().lower()
check(head.startswith('http/1.1 200 ') and 'connection: close' in head, head)
check(got() == digest)
head = curl(
    '-X', 'GET', '-H', 'Expect: 100-continue', '--data-binary', '@disk.img', '-D', '-', '-o', 'got/disk.img'
).decode().lower()
check(head.startswith('http/1.1 200 ') and 'connection: close' in head, head)
check(got() == digest)
answer = f.say(b'GET /disk.img HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n')
head, content = answer.split(b'\r\n\r\n', 1)
check(head.startswith(b'HTTP/1.1 200 ') and content == whole, head)

# Downloads that go on.
until(lambda: logged(200) == 3)
begun(1_234_567)
curl('-C', '-', '-o', 'got/disk.img')
check(got() == digest)
until(lambda: logged(206) == 5)
begun(7_654_321)
wget = ['wget', '--no-config', '-nv', '-t', '1', '-T', '20', '-P', 'got']
subprocess.run([*wget, '-c', where], check=True, stderr=subprocess.DEVNULL)
check(got() == digest)
until(lambda: logged(206) == 6)
# One that has it all asks for nothing more, and one that is up to date gets nothing.
subprocess.run([*wget, '-c', where], check=True, stderr=subprocess.DEVNULL)
until(lambda: logged(416) == 1)
os.utime('got/disk.img', (os.path.getmtime('disk.img'),) * 2)
subprocess.run([*wget, '-N', where], check=True, stderr=subprocess.DEVNULL)
until(lambda: logged(304) == 1)
check(got() == digest)

# Eight connections at once, each with parts of its own.
os.unlink('got/disk.img')
before = logged(206)
subprocess.run(
    [
        'aria2c', '--no-conf', '-q', '-x8', '-s8', '--min-split-size=1M', '--connect-timeout=20',
        '--timeout=20', '--file-allocation=none', '-d', 'got', where,
    ],
    check=True,
)
check(got() == digest)
until(lambda: logged(206) + logged(200) >= before + 3 + 4)
check(f.stop() == 0)
