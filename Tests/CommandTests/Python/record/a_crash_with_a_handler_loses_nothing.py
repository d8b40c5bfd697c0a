# A handler of SIGSEGV that flushes.
import signal

from recording_lines import content, lines, runs
from splicing import check

for _ in range(5):
    open('log', 'w').close()
    check(runs('crash', 'log', 'a', 3000) == -signal.SIGSEGV)
    check(content('log') == lines('a', 3000))
