"""A broadcast between the sockets of a test."""
import http.client
import re
import socket

from serving import Server
from splicing import check


class Broadcast(Server):
    """A broadcast that runs until `stop()`, or until the test ends: its senders and its viewers."""

    def __init__(self, *options, source='tcp-listen:127.0.0.1:0', http='127.0.0.1:0', **more):
        words = ['broadcast', source, *options]
        if http:
            words += ['--http', http]
        super().__init__(*words, **more)
        self.senders = self.port_in(': listening for senders') if 'listen:' in source else None
        self.http = self.port_in('/live: listening') if http else None

    def port_in(self, words):
        return int(re.search(r':(\d+)(?:/|: listening)', self.line(words)).group(1))

    def sender(self):
        s = socket.create_connection(('127.0.0.1', self.senders))
        s.settimeout(20)
        return s

    def ask(self, request=b'GET /live HTTP/1.1\r\nhost: a\r\n\r\n'):
        """A client over HTTP that has asked."""
        s = socket.create_connection(('127.0.0.1', self.http))
        s.settimeout(20)
        s.sendall(request)
        return s

    def viewer(self, room=None):
        """One that is shown the stream from now on, with so much room for it: what it reads is the stream."""
        s = socket.socket()
        if room:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        s.settimeout(20)
        s.connect(('127.0.0.1', self.http))
        s.sendall(b'GET /live HTTP/1.1\r\nhost: a\r\n\r\n')
        answer = head_of(s)
        check(answer.startswith(b'HTTP/1.1 200 OK\r\n'), answer)
        return s

    def answer(self, method, path='/live', **headers):
        connection = http.client.HTTPConnection('127.0.0.1', self.http, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = b'' if answer.status == 200 and method != 'HEAD' else answer.read()
        connection.close()
        return answer, body

    def left(self):
        """What the log says of the next viewer that leaves."""
        line = self.line('] viewer')
        return dict(re.findall(r'(\w+)=(.*?)(?= \w+=| \[Splice)', line))


def head_of(s):
    """The head of an answer, and no byte of what follows."""
    head = b''
    while not head.endswith(b'\r\n\r\n'):
        byte = s.recv(1)
        check(byte, head)
        head += byte
    return head


def exactly(s, count):
    """So many bytes."""
    data = b''
    while len(data) < count:
        more = s.recv(count - len(data))
        check(more, 'ended after', len(data), 'of', count)
        data += more
    return data


def units(count, size=188, first=0):
    """Packets that say which they are."""
    return b''.join(b'G' + (first + n).to_bytes(4, 'big') + bytes([(first + n) % 251]) * (size - 5) for n in range(count))
