# A child has room, and has dropped nothing.
from recording_lines import runs
from splicing import check

check(runs('fork-full', 'file', 'a', 0) == 0)
