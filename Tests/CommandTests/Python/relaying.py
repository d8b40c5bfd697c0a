"""A relay between the sockets of a test."""
import atexit
import http.client
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time

from splicing import check, is_asleep, splice


def upstream(backlog=100, family=socket.AF_INET, where=('127.0.0.1', 0)):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(where)
    s.listen(backlog)
    s.settimeout(20)
    return s


def name(s):
    return '127.0.0.1:%d' % s.getsockname()[1]


class Relay:
    """One that runs until `stop()`, or until the test ends."""

    def __init__(self, *options, upstreams, listen='127.0.0.1:0', wrap=(), says='listening', **more):
        self.upstreams = upstreams
        words = [u if isinstance(u, str) else name(u) for u in upstreams]
        self.process = subprocess.Popen(
            [*wrap, splice, 'relay', *options, listen, *words],
            stderr=subprocess.PIPE,
            start_new_session=True,
            **more,
        )
        atexit.register(self.over)
        self.lines = queue.Queue()
        self.said = []
        threading.Thread(target=self.read, daemon=True).start()
        line = self.line(says)
        self.port = int(line.split(': listening')[0].rsplit(':', 1)[1]) if 'unix:' not in line else None

    def read(self):
        for line in self.process.stderr:
            self.lines.put(line.decode())
        self.lines.put(None)

    # What it says.

    def line(self, word):
        """The next line of the log with this in it."""
        while True:
            line = self.lines.get(timeout=20)
            check(line is not None, 'the relay ended before it said', word, self.said)
            self.said.append(line)
            if word in line:
                return line

    def ended(self):
        """What the log says of the next connection that ends."""
        line = self.line('] connection')
        return dict(re.findall(r'(\w+)=(.*?)(?= \w+=| \[Splice)', line))

    def log(self):
        """All lines so far."""
        return self.said + [line for line in list(self.lines.queue) if line is not None]

    def has_said_all(self):
        """Whether its standard error has ended."""
        return bool(self.lines.queue) and self.lines.queue[-1] is None

    # Who comes through it.

    def connect(self):
        s = socket.create_connection(('127.0.0.1', self.port))
        s.settimeout(20)
        return s

    def pair(self, upstream=0):
        """A client, and what the upstream has accepted for it."""
        client = self.connect()
        far, _ = self.upstreams[upstream].accept()
        far.settimeout(20)
        return client, far

    # What it takes.

    def seconds(self):
        """Of processor time, so far."""
        with open('/proc/%d/stat' % self.process.pid) as file:
            words = file.read().rsplit(') ')[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')

    def busy(self, span):
        """The processor time it takes in a span of time.

        A rate is seen in no other way, and a load of the machine makes it no larger.
        """
        before = self.seconds()
        time.sleep(span)
        return self.seconds() - before

    def is_asleep(self):
        return is_asleep(self.process.pid)

    def descriptors(self):
        return len(os.listdir('/proc/%d/fd' % self.process.pid))

    def sockets(self):
        def what(d):
            try:
                return os.readlink('/proc/%d/fd/%s' % (self.process.pid, d))
            except FileNotFoundError:
                return ''

        return sum(what(d).startswith('socket:') for d in os.listdir('/proc/%d/fd' % self.process.pid))

    # Its end.

    def stop(self, number=signal.SIGTERM):
        """Ends it; its status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def over(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def reloadable(*words, **more):
    """A relay to which SIGHUP is a word: before it is ready, that ends it."""
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind('ready')
    ready.settimeout(20)
    r = Relay(*words, env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')}, **more)
    check(b'READY=1' in ready.recv(1000))
    return r


# The admin pages of a relay that was started with `*admin`.

admin = ('--admin', '127.0.0.1:0')


def admin_port(r):
    return int(r.line(': admin').split(': admin')[0].rsplit(':', 1)[1])


def ask(port, path, method='GET'):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def metric(port, name):
    """The one of that name, with labels in the order they are written in."""
    for line in ask(port, '/metrics')[1].split('\n'):
        if line.startswith(name + ' '):
            return float(line.split(' ')[1])
