# A child that was forked with records waiting writes none of them, and its parent each once. (What a child of
# several threads may do is its own affair: what it writes of its own is whole.)
from recording_lines import content, lines, runs
from splicing import check

for _ in range(10):
    open('log', 'w').close()
    check(runs('fork', 'log', 'parent', 300) == 0)
    found = content('log').splitlines(keepends=True)
    # The first may have been written before.
    own = [text for text in found if text.startswith('child')]
    check(''.join(own) == lines('child', len(own)))
    check(''.join(text for text in found if text.startswith('parent')) == lines('parent', 300))
    check(len(found) == 300 + len(own))
