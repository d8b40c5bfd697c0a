"""A relay between the sockets of a test."""
import os
import re
import socket

from serving import Server
from splicing import check


def upstream(backlog=100, family=socket.AF_INET, where=('127.0.0.1', 0)):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(where)
    s.listen(backlog)
    s.settimeout(20)
    return s


def name(s):
    return '127.0.0.1:%d' % s.getsockname()[1]


class Relay(Server):
    """A relay that runs until `stop()`, or until the test ends."""

    def __init__(self, *options, upstreams, listen='127.0.0.1:0', says='listening', **more):
        self.upstreams = upstreams
        words = [u if isinstance(u, str) else name(u) for u in upstreams]
        super().__init__('relay', *options, listen, *words, **more)
        line = self.line(says)
        self.port = int(line.split(': listening')[0].rsplit(':', 1)[1]) if 'unix:' not in line else None

    def ended(self):
        """What the log says of the next connection that ends."""
        line = self.line('] connection')
        return dict(re.findall(r'(\w+)=(.*?)(?= \w+=| \[Splice)', line))

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


def reloadable(*words, **more):
    """A relay to which SIGHUP is a word: before it is ready, that ends it."""
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind('ready')
    ready.settimeout(20)
    r = Relay(*words, env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')}, **more)
    check(b'READY=1' in ready.recv(1000))
    return r
