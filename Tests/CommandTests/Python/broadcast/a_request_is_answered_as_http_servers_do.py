from broadcasting import Broadcast
from splicing import all_of, check

b = Broadcast('--content-type', 'video/mp2t', '--max-viewers', '2')
answer, body = b.answer('HEAD')
check((answer.status, answer.getheader('content-type'), body) == (200, 'video/mp2t', b''), answer.status)
check(answer.getheader('transfer-encoding') is None and answer.getheader('content-length') is None)
check(b.answer('GET', '/other')[0].status == 404)
answer, _ = b.answer('POST')
check((answer.status, answer.getheader('allow')) == (405, 'GET, HEAD'), answer.status)
one, two = b.viewer(), b.viewer()
answer, _ = b.answer('GET', '/live?now')
check((answer.status, answer.getheader('retry-after')) == (503, '5'), answer.status)
one.close()
# Its place is free, though the source is silent.
b.left()
three = b.viewer()
three.close()
two.close()
b.left()
b.left()
# HTTP/1.0, and what is no request.
s = b.ask(b'GET /live HTTP/1.0\r\n\r\n')
check(s.recv(15, 256) == b'HTTP/1.1 200 OK')
s.close()
for request, status in [
    (b'nonsense\r\n\r\n', b'400'),
    (b'GET /live HTTP/1.1\r\nx: ' + b'y' * 100_000 + b'\r\n\r\n', b'431'),
    (b'GET /live HTTP/9\r\n\r\n', b'400'),
]:
    s = b.ask()
    s.close()
    s = b.ask(request)
    answer = all_of(s)
    check(answer.startswith(b'HTTP/1.1 ' + status), request[:20], answer[:60])
check(b.stop() == 0)
