# Who takes nothing at the end of a process has not taken the time of the others.
from recording_lines import content, lines, runs
from splicing import check

count = 20_000
check(runs('exit-beside', 'file', 'a', count) == 0)
check(content('file') == lines('a', count))
