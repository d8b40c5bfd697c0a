# Each job has a verdict that follows from its intervals, for people and for machines, and a chart that a browser reads.
import json
import subprocess
import xml.etree.ElementTree as tree

from splicing import check, splice

run = subprocess.run(
    [splice, 'bench', '--time', '2s', '--json', '--chart', 'chart.svg'], capture_output=True)
check(run.returncode == 0, run)
said = json.loads(run.stdout)
check('Linux' in said['machine'] and 'cores' in said['machine'], said['machine'])
jobs = {job['name']: job for job in said['jobs']}
check(len(jobs) == 6, list(jobs))
for name, job in jobs.items():
    check(job['verdict'] in ('won', 'lost', 'undecided'), job)
    cpu, control = job['cpu'], job['control']
    check(job['rounds'] >= 6 and 0 < cpu['low'] <= cpu['median'] <= cpu['high'], job)
    won = cpu['high'] < min(control['low'], 1)
    lost = cpu['low'] > max(control['high'], 1)
    check(job['verdict'] == ('won' if won else 'lost' if lost else 'undecided'), job)
    for way in 'copying', 'splicing':
        check(job[way]['cpuSecondsPerUnit'] > 0 and job[way]['unitsPerSecond'] > 0, job)
    check(job['throughput']['low'] > 0, job)
# Where pages are passed on, which they are on the way to nowhere, no noise hides it.
if json.loads(subprocess.run([splice, 'doctor', '--json'], capture_output=True, check=True).stdout)['missing'] == []:
    check(jobs['file to nowhere']['unit'] == 'GiB' and jobs['messages of 100 bytes']['unit'] == 'message')
# Each job was said before it began.
check([line.split(', ', 1)[1] for line in run.stderr.decode().splitlines()] == list(jobs), run.stderr)

chart = tree.parse('chart.svg').getroot()
text = ' '.join(chart.itertext())
check(all(name in text for name in jobs) and 'prefers-color-scheme: dark' in text, text)
bars = [e for e in chart.iter('{http://www.w3.org/2000/svg}rect') if e.get('class') != 'paper']
check([bar.get('class') for bar in bars] == [job['verdict'] for job in jobs.values()], bars)
check(all(0 < float(bar.get('width')) < 400 for bar in bars))
