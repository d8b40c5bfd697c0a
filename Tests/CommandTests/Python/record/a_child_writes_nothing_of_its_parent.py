# A child that was forked with records waiting writes its own, and its parent the others: each once.
from recording_lines import content, lines, runs
from splicing import check

for _ in range(10):
    open('log', 'w').close()
    check(runs('fork', 'log', 'parent', 300) == 0)
    found = content('log').splitlines(keepends=True)
    # The first may have been written before.
    for name in 'child', 'parent':
        check(''.join(text for text in found if text.startswith(name)) == lines(name, 300), name)
    check(len(found) == 600)
