"""The command on a terminal. What is written to `feed` is its standard input.

A test is given how many columns the terminal has, its kind, and the words of the command. At the end it
prints the seconds that the command took, its status, and what was drawn.
"""
import fcntl
import os
import pty
import struct
import termios
import time

from splicing import arguments, check, splice

columns, kind, *words = arguments
fed, feed = os.pipe()
began = time.monotonic()
pid, master = pty.fork()
if pid == 0:
    os.dup2(fed, 0)
    os.environ['TERM'] = kind
    os.execv(splice, [splice, *words])
os.close(fed)
drawn = bytearray()


def resize(columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))


resize(int(columns))
before = termios.tcgetattr(master)


def read():
    """Waits for what is drawn next; whether there was something."""
    try:
        piece = os.read(master, 10000)
    except OSError:
        # Nobody has the terminal any more.
        piece = b''
    drawn.extend(piece)
    return piece != b''


def tell():
    """To be called when everything was done: waits for the end."""
    while read():
        pass
    check(termios.tcgetattr(master) == before, 'the terminal is as it was')
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(time.monotonic() - began)
    print(status, end=' ', flush=True)
    os.write(1, drawn)
