"""A directory that is served, and those who ask for its files."""
import http.client
import re
import socket

from serving import Server
from splicing import all_of, check


class Files(Server):
    """The directory of the test, served until `stop()`, or until the test ends."""

    def __init__(self, *options, directory='.', **more):
        super().__init__('serve', directory, '--listen', '127.0.0.1:0', '--threads', '1', *options, **more)
        self.port = int(re.search(r':(\d+)/: listening', self.line('/: listening')).group(1))

    def connect(self):
        s = socket.create_connection(('127.0.0.1', self.port))
        s.settimeout(20)
        return s

    def ask(self, path, method='GET', **headers):
        """An answer and its content."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace('_', '-'), value)
        connection.endheaders()
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def status(self, path, method='GET', **headers):
        return self.ask(path, method, **headers)[0].status

    def begin(self, path, size, last=True):
        """An answer of so many bytes, of which the head has come, and hardly more: its socket, and what has."""
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(('127.0.0.1', self.port))
        end = 'connection: close\r\n' if last else ''
        s.sendall(f'GET {path} HTTP/1.1\r\nhost: x\r\n{end}\r\n'.encode())
        got = b''
        while b'\r\n\r\n' not in got:
            got += s.recv(1000)
        head, rest = got.split(b'\r\n\r\n', 1)
        check(head.startswith(b'HTTP/1.1 200 ') and b'content-length: %d' % size in head, head)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        return s, rest

    def say(self, words):
        """All that is answered to these bytes, behind which nothing follows."""
        with self.connect() as s:
            s.sendall(words)
            s.shutdown(socket.SHUT_WR)
            return all_of(s)
