# strace counts.
import os
import subprocess

from counting import each, traced
from splicing import check, is_asleep, splice, until


def work(count):
    wrap, path = traced()
    with open('file', 'wb') as file:
        file.truncate(count << 20)
    check(subprocess.run([*wrap, splice, 'file', 'null:'], timeout=60).returncode == 0)
    return path


def straight(count):
    wrap, path = traced()
    with open('file', 'wb') as file:
        file.truncate(count << 20)
    process = subprocess.Popen([*wrap, splice, 'file', '-'], stdout=subprocess.PIPE)
    left = count << 20
    while left:
        until(lambda: process.poll() is not None or is_asleep(process.pid))
        left -= len(os.read(process.stdout.fileno(), 1 << 20))
    check(process.wait(timeout=30) == 0)
    return path


# Into the pipe and out of it; and straight into a pipe, for which is waited.
each(work, 64, 192, 2.02)
each(straight, 4, 24, 2.3)
