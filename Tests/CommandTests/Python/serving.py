"""A server of the command, for the time of a test."""
import atexit
import http.client
import os
import queue
import signal
import subprocess
import threading
import time

from splicing import check, is_asleep, splice


class Server:
    """One that runs until `stop()`, or until the test ends."""

    def __init__(self, *words, wrap=(), **more):
        self.process = subprocess.Popen(
            [*wrap, splice, *words], stderr=subprocess.PIPE, start_new_session=True, **more
        )
        atexit.register(self.over)
        self.lines = queue.Queue()
        self.said = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            self.lines.put(line.decode())
        self.lines.put(None)

    # What it says.

    def line(self, word):
        """The next line of the log with this in it."""
        while True:
            line = self.lines.get(timeout=20)
            check(line is not None, 'the server ended before it said', word, self.said)
            self.said.append(line)
            if word in line:
                return line

    def log(self):
        """All lines so far."""
        return self.said + [line for line in list(self.lines.queue) if line is not None]

    def has_said_all(self):
        """Whether its standard error has ended."""
        return bool(self.lines.queue) and self.lines.queue[-1] is None

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


# The admin pages of a server that was started with `*admin`.

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
