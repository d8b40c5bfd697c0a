# To one file, each in its own order, and none within another.
from recording_lines import content, lines, probe
from splicing import check

names = 'abcdefgh'
processes = [probe('exit', 'log', name, 20_000) for name in names]
for process in processes:
    check(process.wait(60) == 0)
    process.stdout.close()
found = {name: [] for name in names}
for text in content('log').splitlines(keepends=True):
    found[text[0]].append(text)
for name in names:
    check(''.join(found[name]) == lines(name, 20_000), name)
