# kill -9 at any moment: everything before the last flush is in the file, in order; at most the last record of
# all is cut.
import random
import time

from recording_lines import content, is_beginning, probe
from splicing import check

for round in range(20):
    open('log', 'w').close()
    process = probe('endless', 'log', 'a', random.choice((1, 10, 1000, 20_000)))
    process.stdout.readline()
    time.sleep(random.random() / 20)
    process.kill()
    flushed = [int(text) for text in process.stdout.read().split()]
    process.stdout.close()
    process.wait(60)
    check(is_beginning(content('log'), 'a') >= max(flushed, default=0), flushed[-1:])
