# What doctor says of each kind is what Python finds with experiments of its own, as root and as a user who may
# do nothing.
import errno
import fcntl
import os
import pty
import socket
import tempfile

from diagnosing import Diagnosis, another_user
from splicing import check


def splices(source, sink, **more):
    """Whether a page is moved, or would be once there is one."""
    try:
        os.splice(source, sink, 4096, flags=2, **more)
    except BlockingIOError:
        return True
    except OSError as error:
        check(error.errno == errno.EINVAL, error)
        return False
    return True


def as_source(fd, **more):
    reader, writer = os.pipe()
    try:
        return splices(fd, writer, **more)
    finally:
        os.close(reader)
        os.close(writer)


def as_sink(fd):
    reader, writer = os.pipe()
    try:
        os.write(writer, b'x')
        return splices(reader, fd)
    finally:
        os.close(reader)
        os.close(writer)


def pair(kind):
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    a.setblocking(False)
    b.send(b'x')
    b.detach()
    return a.detach()


def tcp(family, address):
    listener = socket.create_server((address, 0), family=family)
    client = socket.create_connection(listener.getsockname()[:2])
    listener.accept()[0].detach()
    client.setblocking(False)
    return client.detach()


def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 0))
    s.connect(s.getsockname())
    s.setblocking(False)
    return s.detach()


def terminal():
    _, slave = pty.openpty()
    os.set_blocking(slave, False)
    return slave


def file_with(flags=0, where='.'):
    fd = os.open(where, os.O_TMPFILE | os.O_RDWR)
    os.write(fd, bytes(8192))
    os.lseek(fd, 0, 0)
    if flags:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    return fd


def memory():
    fd = os.memfd_create('test')
    os.write(fd, bytes(8192))
    os.lseek(fd, 0, 0)
    return fd


def device(path, flags=os.O_RDWR):
    return lambda: os.open(path, flags | os.O_NONBLOCK)


makers = {
    'memory file (memfd)': memory,
    'TCP over IPv4': lambda: tcp(socket.AF_INET, '127.0.0.1'),
    'unix stream socket': lambda: pair(socket.SOCK_STREAM),
    'unix datagram socket': lambda: pair(socket.SOCK_DGRAM),
    'unix seqpacket socket': lambda: pair(socket.SOCK_SEQPACKET),
    'UDP': udp,
    'terminal': terminal,
    '/dev/zero': device('/dev/zero'),
    '/dev/null': device('/dev/null'),
    '/dev/full': device('/dev/full'),
    '/dev/urandom': device('/dev/urandom'),
    'eventfd': lambda: os.eventfd(0, os.EFD_NONBLOCK),
}
read_only = ['/proc/meminfo', '/proc/self/status', '/proc/sys/kernel/ostype', '/sys/kernel/uevent_seqnum']
os.chmod('.', 0o777)

for rights in {}, another_user():
    d = Diagnosis(**rights)
    for name, make in makers.items():
        fd = make()
        check(d.splices(name) == (as_source(fd), as_sink(fd)), name, d.rows[name])
    for name in read_only:
        check(d.splices(name) == (as_source(os.open(name, os.O_RDONLY)), None), name, d.rows[name])
    here = [name for name in d.kinds() if ' on ' in name and 'tmpfs' not in name]
    check(len(here) == 3 or not rights, here)
    for name in here:
        fd = file_with(os.O_APPEND if 'appended' in name else os.O_DIRECT if 'O_DIRECT' in name else 0)
        is_aligned = as_source(fd) if 'O_DIRECT' in name else as_sink(fd)
        expected = (as_source(fd), is_aligned)
        check(d.splices(name) == expected, name, d.rows[name], expected)
    check(d.splices('pipe') == (True, True) and d.splices('second pipe (tee)') == (None, True))
    check(d.splices('memory (vmsplice)') == (True, None))
    check(d.rows['page']['number'] == os.sysconf('SC_PAGESIZE'))
    check(d.rows['user']['number'] == rights.get('user', os.getuid()))
    reader, writer = os.pipe()
    check(d.rows['a new pipe']['number'] == fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    for name, path in ('pages of a user', 'pipe-user-pages-soft'), ('largest, unprivileged', 'pipe-max-size'):
        check(d.rows[name]['number'] == int(open('/proc/sys/fs/' + path).read()), d.rows[name])
    os.close(reader)
    os.close(writer)
    check(d.whole['missing'] == [])

# Where pages are shared is found out in the same way: a page is changed behind the call.
d = Diagnosis()
with tempfile.TemporaryFile(dir='.') as file:
    file.write(b'a' * 4096)
    file.flush()
    reader, writer = os.pipe()
    os.splice(file.fileno(), writer, 4096, offset_src=0)
    os.pwrite(file.fileno(), b'b' * 4096, 0)
    seen = {b'a': 'copied', b'b': 'shared'}[os.read(reader, 1)]
plain = next(name for name in d.kinds() if name.startswith('file on ') and name != 'file on tmpfs')
check(d.pages(plain)[0] == seen, d.rows[plain])
# By name, for machines; and what a person reads says the same.
check(d.whole['summary'][0] == 'All system calls that splice uses are allowed', d.whole['summary'])
