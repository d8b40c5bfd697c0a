# What cannot be measured says why, and the rest is measured; signals and files that cannot be written have their statuses.
import json
import os
import resource
import signal
import subprocess

from diagnosing import another_user, python
from splicing import check, sandbox, splice


def bench(*words, status=0, **more):
    run = subprocess.run(
        [splice, 'bench', '--time', '100ms', '--json', *words], capture_output=True, **more)
    check(run.returncode == status, run)
    return {job['name']: job for job in json.loads(run.stdout)['jobs']}, run.stderr.decode()


def limit(**limits):
    def begin():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, 'RLIMIT_' + name), (value, value))
    return begin


jobs, _ = bench(preexec_fn=limit(NOFILE=16))
check(jobs['one to four']['verdict'] is None and 'Too many open files' in jobs['one to four']['reason'], jobs)
check(jobs['file to nowhere']['verdict'])
jobs, _ = bench(preexec_fn=limit(FSIZE=64 << 10), env={'TMPDIR': '/nonexistent'})
check(all(job['verdict'] for job in jobs.values()), jobs)
jobs, _ = bench(preexec_fn=limit(FSIZE=0))
check(jobs['file to nowhere']['verdict'] is None and jobs['socket to socket']['verdict'], jobs)
# A sandbox in which nothing splices.
jobs, _ = bench(preexec_fn=lambda: sandbox(1))
check(jobs['file to nowhere']['reason'] == 'Operation not permitted', jobs)
check(jobs['socket to socket']['reason'] == 'Operation not permitted', jobs)
check(jobs['messages of 100 bytes']['reason'] == 'Operation not permitted', jobs)
jobs, _ = bench(preexec_fn=lambda: sandbox(1, {'x86_64': [278], 'aarch64': [75]}[os.uname().machine]))
check(jobs['memory, 64 KiB each']['verdict'] is None and jobs['one to four']['verdict'], jobs)
jobs, _ = bench(preexec_fn=lambda: sandbox(None), status=74)
check(not any(job['verdict'] for job in jobs.values()), jobs)
# A user whose budget of pipe pages is taken: pipes have two slots.
user = another_user(65531)
if user:
    holding = 'import os, sys; pipes = [os.pipe() for _ in range(1300)]; print(flush=True); sys.stdin.read()'
    words = [python, '-c', holding]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/', **user) as other:
        other.stdout.readline()
        jobs, _ = bench(**user)
        other.stdin.close()
    # Pieces for many are not spliced through pipes of two slots.
    check(all(job['verdict'] or name == 'one to four' for name, job in jobs.items()), jobs)

for chart, why in ('missing/chart.svg', 'No such file or directory'), ('.', 'Is a directory'), (
        'fifo', 'No such device or address'), ('/dev/full', 'Invalid argument'):
    if chart == 'fifo':
        os.mkfifo(chart)
    run = subprocess.run([splice, 'bench', '--chart', chart], capture_output=True)
    check(run.returncode == 73 and run.stderr.decode() == f'splice: {chart}: open: {why}\n', run)
run = subprocess.run([splice, 'bench', '--time', '50ms', '--chart', '-'], capture_output=True)
check(run.returncode == 0 and run.stdout.startswith(b'<svg') and run.stdout.endswith(b'</svg>\n\n'), run)
with open('/dev/full', 'w') as full:
    check(subprocess.run([splice, 'bench', '--time', '50ms'], stdout=full, stderr=subprocess.DEVNULL).returncode == 74)
for number, status in (signal.SIGINT, 130), (signal.SIGTERM, 143):
    words = [splice, 'bench', '--chart', 'new.svg']
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        check(process.stderr.readline() == b'splice bench: 1 of 6, file to nowhere\n')
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        check(process.returncode == status and out == b'', process.returncode, out)
        check(not os.path.exists('new.svg'))
