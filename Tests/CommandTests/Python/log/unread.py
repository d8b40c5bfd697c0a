"""A relay between unix sockets, whose standard error is a pipe that is full already and that nobody reads."""
import atexit
import os
import socket
import subprocess
import threading

from relaying import upstream
from splicing import all_of, check, splice, until


def full_pipe():
    read, write = os.pipe()
    os.set_blocking(write, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(write, b'.' * size)
        except BlockingIOError:
            pass
    os.set_blocking(write, True)
    return read, write


up = upstream(backlog=1000, family=socket.AF_UNIX, where='up')
up.settimeout(None)


def serve():
    while True:
        far, _ = up.accept()
        far.sendall(far.recv(10))
        far.close()


threading.Thread(target=serve, daemon=True).start()


def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return s


def is_there(path):
    try:
        unix(path).close()
        return True
    except OSError:
        return False


def begin(*options):
    read, write = full_pipe()
    words = ['relay', *options, 'unix:front', 'unix:up', '--admin', 'unix:admin']
    p = subprocess.Popen([splice, *words], stderr=write)
    atexit.register(p.kill)
    os.close(write)
    until(lambda: is_there('front') and is_there('admin'), 'it begins')
    return p, read


def serves(count):
    for n in range(count):
        s = unix('front')
        s.sendall(b'hello')
        check(s.recv(10) == b'hello', n)
        s.close()


def value(name):
    s = unix('admin')
    s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
    for line in all_of(s).decode().split('\n'):
        if line.startswith(name + ' '):
            return int(line.split(' ')[1])
