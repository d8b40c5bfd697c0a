# By returning from main and by exit, in one process after the other.
from recording_lines import content, lines, runs
from splicing import check

for mode in 'return', 'exit':
    check(runs(mode, mode, 'a', 3000) == 0)
    check(content(mode) == lines('a', 3000))
    check(runs(mode, mode, 'b', 1) == 0)
    check(content(mode) == lines('a', 3000) + lines('b', 1))
