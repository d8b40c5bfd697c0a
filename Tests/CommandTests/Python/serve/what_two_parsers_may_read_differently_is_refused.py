from filing import Files
from splicing import all_of, check

open('a', 'w').write('content')
f = Files()
host = b'host: x\r\n'
refused = [
    b'GET /a HTTP/1.1\nhost: x\n\n',
    b'GET /a HTTP/1.1\r\nhost: x\n\r\n',
    b'GET /a HTTP/1.1\r\n' + host + b'x: a\r\n b\r\n\r\n',
    b'GET /a HTTP/1.1\r\n' + host + b'x: a\r\n\tb\r\n\r\n',
    b'GET /a HTTP/1.1\r\n' + host + b'content-length: 1\r\ncontent-length: 2\r\n\r\nab',
    b'GET /a HTTP/1.1\r\n' + host + b'content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    b'GET /a HTTP/1.1\r\n' + host + b'content-length: +1\r\n\r\na',
    b'GET /a HTTP/1.1\r\n' + host + b'content-length : 1\r\n\r\na',
    b'GET /a HTTP/1.1\r\n\r\n',
    b'GET /a HTTP/1.1\r\n' + host + host + b'\r\n',
    b'GET /a HTTP/2.0\r\n' + host + b'\r\n',
    b'GET /a HTTP/1.1\r\n' + host + b'x\x00y: a\r\n\r\n',
    b'garbage\r\n\r\n',
    b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\r\n' * 40,
    b'GET * HTTP/1.1\r\n' + host + b'\r\n',
    b'GET a HTTP/1.1\r\n' + host + b'\r\n',
    b'GET  /a HTTP/1.1\r\n' + host + b'\r\n',
    b'GET /a  HTTP/1.1\r\n' + host + b'\r\n',
    b'GET /a HTTP/1.1 \r\n' + host + b'\r\n',
    b'\r\r\rGET /a HTTP/1.1\r\n' + host + b'\r\n',
    b'GET /a HTTP/1.1\r\n' + host + b'x: a\rb\r\n\r\n',
    *(b'GET /a HTTP/1.1\r\nhost: ' + name + b'\r\n\r\n' for name in (b'a b/c@d', b'[]', b'[::1', b']', b'x%', b'x%g0', b'x:1:2', b'x:port', b'user@x')),
    b'GET http://@:/a HTTP/1.1\r\n' + host + b'\r\n',
    b'GET http:///a HTTP/1.1\r\n' + host + b'\r\n',
    b'GET /a RTSP/1.1\r\n' + host + b'\r\n',
    b'OPTIONS /a ICE/1.0\r\n' + host + b'\r\n',
    b'GET /a\r\n\r\n',
    b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
]
for name in b'x', b'x:80', b'x:', b'[::1]:80', b'[v1.a+b]', b'a-b_c.%7e', b'', b' x ', b'\tx\t ':
    check(f.say(b'GET /a HTTP/1.1\r\nhost: ' + name + b'\r\n\r\n').startswith(b'HTTP/1.1 200 '), name)
for target, status in (b'http://x/a', 200), (b'http://x:80/a?q', 200), (b'http://x', 404), (b'http://x?q', 404):
    check(f.say(b'GET ' + target + b' HTTP/1.1\r\nhost: x\r\n\r\n').startswith(b'HTTP/1.1 %d ' % status), target)
# Blanks behind a value are none of it.
check(f.say(b'GET /a HTTP/1.1\r\n' + host + b'content-length: 0 \r\n\r\n' + b'GET /a HTTP/1.1\r\n' + host + b'\r\n').count(b'content') >= 2)
for words in refused:
    answer = f.say(words + b'GET /a HTTP/1.1\r\nhost: x\r\n\r\n')
    check(answer.startswith(b'HTTP/1.1 400 '), words, answer)
    check(answer.count(b'HTTP/1.1 ') == 1 or words.endswith(b'* HTTP/1.1\r\n' + host + b'\r\n') or words.startswith((b'GET a ', b'GET http')), words, answer)
# What ends with a coding that is not known has an end that is not known.
for coding in b'identity', b'xchunked', b'chunked, identity', b'gzip, chunked':
    answer = f.say(b'GET /a HTTP/1.1\r\n' + host + b'transfer-encoding: ' + coding + b'\r\n\r\n0\r\n\r\nGET /a HTTP/1.1\r\nhost: x\r\n\r\n')
    check(answer[:12] in (b'HTTP/1.1 501', b'HTTP/1.1 400') and answer.count(b'HTTP/1.1 ') == 1, coding, answer)
many = b''.join(b'x%d: a\r\n' % n for n in range(200))
check(f.say(b'GET /a HTTP/1.1\r\n' + host + many + b'\r\n').startswith(b'HTTP/1.1 431 '))
check(f.say(b'GET /a HTTP/1.1\r\n' + host + b'x: ' + b'a' * 100_000 + b'\r\n\r\n').startswith(b'HTTP/1.1 431 '))

# Content is not read: the answer to it is the last.
answer = f.say(b'GET /a HTTP/1.1\r\n' + host + b'content-length: 30\r\n\r\nGET /a HTTP/1.1\r\nhost: x\n\n')
check(answer.startswith(b'HTTP/1.1 200 ') and answer.endswith(b'content') and answer.count(b'HTTP/1.1') == 1, answer)
check(b'connection: close' in answer)
# Also when the client has ended in the middle of its content, long before its answer is whole.
with open('big', 'wb') as file:
    file.truncate(32 << 20)
answer = f.say(b'GET /big HTTP/1.1\r\n' + host + b'content-length: 30\r\n\r\nGET /a HTTP/1.1\r\n')
check(answer.startswith(b'HTTP/1.1 200 ') and answer.count(b'HTTP/1.1') == 1 and answer.endswith(bytes(32 << 20)))
# However much of it there is, the answer is heard.
with f.connect() as s:
    s.sendall(b'PUT /a HTTP/1.1\r\n' + host + b'content-length: 3000000\r\n\r\n' + bytes(3_000_000))
    check(all_of(s).startswith(b'HTTP/1.1 405 '))
# What came before what is wrong is answered.
answer = f.say(b'GET /a HTTP/1.1\r\n' + host + b'\r\nGET /a HTTP/1.1\n')
check(answer.count(b'content') >= 1 and answer.startswith(b'HTTP/1.1 200') and b'HTTP/1.1 400' in answer, answer)
check(f.status('/a') == 200)
