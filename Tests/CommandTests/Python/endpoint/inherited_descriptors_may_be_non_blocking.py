import fcntl
import os
import pty
import socket
import termios

from splicing import check, start


def flag(fd):
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)


content = open('a', 'rb').read()
for blocking in (True, False):
    near, far = socket.socketpair()
    near.setblocking(blocking)
    far.setblocking(True)
    p = start('a', '-', stdout=near)
    near2 = os.dup(near.fileno())
    got = b''
    while len(got) < len(content):
        got += far.recv(10000)
    check(got == content)
    near.close()
    far.close()
    check(p.wait() == 0, p.stderr.read())
    check(os.get_blocking(near2) == blocking, 'socket')
    os.close(near2)
    p = start('zero:', '-', stdout=(w := os.pipe())[1])
    os.set_blocking(w[1], blocking)
    os.read(w[0], 100)
    p.kill()
    p.wait()
    check(flag(w[1]) == (not blocking), 'pipe after a kill')
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[1] &= ~termios.OPOST
    termios.tcsetattr(slave, 0, mode)
    os.set_blocking(slave, blocking)
    p = start('a', '-', stdout=slave, stdin=slave)
    got = b''
    while len(got) < len(content):
        got += os.read(master, 10000)
    check(p.wait() == 0 and got == content, p.stderr.read(), len(got))
    check(os.get_blocking(slave) == blocking, 'terminal')
