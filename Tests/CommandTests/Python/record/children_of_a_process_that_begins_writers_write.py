# Whenever a process forks, its child writes.
from recording_lines import content, lines, runs
from splicing import check

count = 150
check(runs('fork-often', 'file', 'a', count) == 0)
check(content('file') == lines('a', count))
