import socket

from relaying import name, Relay, upstream
from serving import admin, admin_port, ask
from splicing import all_of, check

up = upstream()
r = Relay(*admin, upstreams=[up])
port = admin_port(r)
check(ask(port, '/healthz') == (200, 'ok\n') and ask(port, '/readyz?verbose') == (200, 'ready\n'))
check(ask(port, '/nothing')[0] == 404 and ask(port, '/metrics/')[0] == 404)
for method in ['POST', 'PUT', 'DELETE', 'OPTIONS']:
    check(ask(port, '/metrics', method)[0] == 405, method)
check(ask(port, '/', 'HEAD') == (200, ''))
status, page = ask(port, '/')
check(status == 200 and 'splice relay' in page and name(up) in page and '<noscript>' in page)
check('http://' not in page and 'https://' not in page and 'src=' not in page, 'something is from elsewhere')


def raw(words):
    s = socket.create_connection(('127.0.0.1', port))
    s.settimeout(20)
    s.sendall(words)
    try:
        return all_of(s)
    except ConnectionResetError:
        return b''


# Two of one connection, one after the other; the older version ends it.
two = raw(b'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n')
check(two.count(b'HTTP/1.1 200') == 2 and two.endswith(b'ready\n'), two)
check(
    b' 413 '
    in raw(b'POST /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000000\r\n\r\n' + b'x' * 1000)
)
check(b' 413 ' in raw(b'GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'))
for wrong in [
    b'\x16\x03\x01\x02\x00\x01\x00', b'GET\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n',
    b'GET /' + b'a' * 200_000 + b' HTTP/1.1\r\n\r\n',
    b'GET / HTTP/1.1\r\n' + b'x: y\r\n' * 100_000 + b'\r\n',
]:
    answer = raw(wrong)
    check(not answer or b' 400 ' in answer or b' 431 ' in answer, answer[:100])
check(ask(port, '/healthz')[0] == 200)
check(r.stop() == 0)
