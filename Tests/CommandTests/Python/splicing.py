"""What the tests in Python share.

A test is a program of its own: `PYTHONPATH=Tests/CommandTests/Python python3 TEST COMMAND [ARGUMENT...]`.
It ends with status 0 when all is well; else standard error says at which line of which file it was not.
`splice` is the command that was built, `arguments` what the test was given.
"""
import ast
import ctypes
import faulthandler
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

splice, *arguments = sys.argv[1:]


# A test that fails, or that hangs, says where.


def statement(frame):
    """Where a frame is, and the statement it is at: file:line: source."""
    path, line = frame.f_code.co_filename, frame.f_lineno
    with open(path) as file:
        source = file.read()
    around = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno
    ]
    innermost = min(around, key=lambda node: node.end_lineno - node.lineno)
    text = ast.get_source_segment(source, innermost)
    if isinstance(innermost, (ast.For, ast.If, ast.Try, ast.While, ast.With)):
        text = source.splitlines()[line - 1]
    return f"{path}:{line}: {' '.join(text.split())}"


def of_the_test(frame):
    """The line of the test itself that led to a frame, or the frame."""
    outer = frame
    while outer and outer.f_code.co_filename != os.path.abspath(sys.argv[0]):
        outer = outer.f_back
    return outer or frame


def fail(frame, *what):
    line = ' '.join([statement(frame) + ':', *map(repr, what)])
    if of_the_test(frame) is not frame:
        line += '\n' + statement(of_the_test(frame))
    print(line, file=sys.stderr, flush=True)
    sys.exit(1)


def hung(number, frame):
    faulthandler.dump_traceback()
    sys.exit('hung: ' + statement(of_the_test(frame)))


signal.signal(signal.SIGALRM, hung)
# Every wait has a bound, and this is the one of all together.
signal.setitimer(signal.ITIMER_REAL, float(os.environ.get('SPLICE_TEST_HANG', 180)))


def check(condition, *what):
    """Ends the test unless it is so; what else is given is said as well."""
    if not condition:
        fail(sys._getframe(1), *what)


def until(condition, *what, within=20):
    """Looks again and again until it is so."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            fail(sys._getframe(1), 'in vain', *what)
        time.sleep(0.005)


def in_thread(body, *words):
    """Runs it beside the test; the function that is returned waits for its end, and has its result."""
    out = []
    thread = threading.Thread(target=lambda: out.append(body(*words)), daemon=True)
    thread.start()

    def join(bound=30):
        thread.join(bound)
        check(out, 'a thread did not end', body)
        return out[0]

    return join


# Files that somebody else writes.


def text(path):
    """What is in a file; None while it is not there."""
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        return None


def size(path):
    """How long a file is; None while it is not there."""
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return None


# Programs.


def listen_without_room():
    """A backlog that is full: a connect to this word gets no answer while the sockets are held."""
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen(0)
    held = [s]
    for _ in range(8):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(s.getsockname())
        held.append(c)
    return held, 'tcp:127.0.0.1:%d' % s.getsockname()[1]


def start(*words, **more):
    return subprocess.Popen([splice, *words], stderr=subprocess.PIPE, **more)


def is_asleep(process):
    """Whether all threads of a process wait for something, and none has run meanwhile.

    Who is woken runs from that moment on. So when this is so after something was done to the process, it has
    answered that.
    """

    def look():
        threads = {}
        for thread in os.listdir(f'/proc/{process}/task'):
            with open(f'/proc/{process}/task/{thread}/status') as file:
                lines = dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)
            switches = lines['voluntary_ctxt_switches'], lines['nonvoluntary_ctxt_switches']
            threads[thread] = lines['State'][0], switches
        return threads

    try:
        first = look()
        return all(state == 'S' for state, _ in first.values()) and look() == first
    except (FileNotFoundError, ProcessLookupError):
        return False  # a thread has ended


def preloading(source):
    """The environment in which programs have the functions of a C file in place of the system's."""
    library = os.path.abspath(os.path.basename(source) + '.so')
    subprocess.run(['clang', '-shared', '-fPIC', '-o', library, source], check=True)
    return {**os.environ, 'LD_PRELOAD': library}


def inside(sysctl={}):
    """Goes on in namespaces of its own, of the network and of mounts, with these settings."""
    if 'inside' not in os.environ:
        again = ['unshare', '-rnm', sys.executable, *sys.orig_argv[1:]]
        sys.exit(subprocess.call(again, env={**os.environ, 'inside': '1'}))
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for key, value in sysctl.items():
        with open('/proc/sys/' + key, 'w') as file:
            file.write(value)


def sandbox(error, calls=None):
    """From now on seccomp answers so to splice, tee, copy_file_range and sendfile, on this architecture, or to the
    calls of these numbers; without an errno it ends who calls."""
    calls = calls or {'x86_64': (275, 276, 326, 40), 'aarch64': (76, 77, 285, 71)}[platform.machine()]
    answer = 0x80000000 if error is None else 0x50000 | error
    libc = ctypes.CDLL(None, use_errno=True)

    def op(code, jump_true, jump_false, k):
        return struct.pack('HBBI', code, jump_true, jump_false, k)

    rules = op(0x20, 0, 0, 0)
    for number in calls:
        rules += op(0x15, 0, 1, number) + op(0x06, 0, 0, answer)
    rules += op(0x06, 0, 0, 0x7FFF0000)
    memory = ctypes.create_string_buffer(rules)

    class Program(ctypes.Structure):
        _fields_ = [('count', ctypes.c_ushort), ('filter', ctypes.c_void_p)]

    program = Program(len(rules) // 8, ctypes.addressof(memory))
    check(libc.prctl(38, 1, 0, 0, 0) == 0)
    check(libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, 'no seccomp')


# Sockets.


def listen():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen()
    return s, 'tcp:127.0.0.1:%d' % s.getsockname()[1]


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


def all_of(s):
    content = b''
    while piece := s.recv(1 << 20):
        content += piece
    return content


def is_reset(s):
    try:
        while s.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False


def is_cut(connect):
    """Reset, which may be seen before the connection is."""
    try:
        return is_reset(connect())
    except ConnectionResetError:
        return True


def fill(s, patience=0.3):
    """Sends until nothing more is taken, for so long; how much that was."""
    count = 0
    s.setblocking(False)
    while True:
        try:
            while True:
                count += s.send(bytes(1 << 20))
        except BlockingIOError:
            if not select.select([], [s], [], patience)[1]:
                break
    s.settimeout(20)
    return count


def has_nobody(listener):
    """Whether nobody is there to be accepted. Whoever would come must have had reason and time before."""
    listener.setblocking(False)
    try:
        listener.accept()
        return False
    except BlockingIOError:
        return True
    finally:
        listener.settimeout(20)


def unread(s):
    """How many bytes are there to be read from a socket or a pipe."""
    return struct.unpack('i', fcntl.ioctl(s, termios.FIONREAD, b'    '))[0]
