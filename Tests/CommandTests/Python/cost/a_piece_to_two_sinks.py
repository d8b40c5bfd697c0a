# strace counts.
import os
import subprocess

from counting import each, traced
from splicing import check, is_asleep, splice, until

piece = b'x' * 65536


def work(count):
    wrap, path = traced()
    readers, writers = zip(os.pipe(), os.pipe())
    process = subprocess.Popen(
        [*wrap, splice, '-', f'fd:{writers[0]}', f'fd:{writers[1]}'], stdin=subprocess.PIPE, pass_fds=writers)
    for writer in writers:
        os.close(writer)
    for _ in range(count):
        # One step at a time, so that nothing depends on who is faster.
        until(lambda: is_asleep(process.pid))
        process.stdin.write(piece)
        process.stdin.flush()
        until(lambda: is_asleep(process.pid))
        for reader in readers:
            left = len(piece)
            while left:
                left -= len(os.read(reader, left))
    process.stdin.close()
    check(process.wait(timeout=30) == 0)
    return path


# In, one tee, one move, and out twice; a look that finds nothing, and a wait for the next.
each(work, 20, 120, 7.5)
