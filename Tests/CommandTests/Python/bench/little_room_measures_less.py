# What cannot be measured says why, and the rest is measured; signals and files that cannot be written have their statuses.
import json
import resource
import signal
import subprocess

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
check('Operation not permitted' in jobs['file to nowhere']['reason'], jobs)

jobs, errors = bench('--chart', 'missing/chart.svg', status=73)
check('splice: missing/chart.svg: write: No such file or directory\n' in errors, errors)
check(len(jobs) == 6)
with open('/dev/full', 'w') as full:
    check(subprocess.run([splice, 'bench', '--time', '50ms'], stdout=full, stderr=subprocess.DEVNULL).returncode == 74)
for number, status in (signal.SIGINT, 130), (signal.SIGTERM, 143):
    with subprocess.Popen([splice, 'bench'], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        check(process.stderr.readline() == b'splice bench: 1 of 6, file to nowhere\n')
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        check(process.returncode == status and out == b'', process.returncode, out)
