import os

from filing import Files
from splicing import check

sizes = [0, 1, 100, 20_000, 70_000, 300_000]
for size in sizes:
    open(f'{size}', 'wb').write(os.urandom(size))
f = Files()
words, want = b'', []
for number in range(300):
    size = sizes[number % len(sizes)]
    method = 'HEAD' if number % 7 == 0 else 'GET'
    path = f'/{size}' if number % 11 else '/none'
    words += f'{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n'.encode()
    status = b'200' if number % 11 else b'404'
    content = open(f'{size}', 'rb').read() if number % 11 else b'404 Not Found\n'
    want.append((status, len(content), b'' if method == 'HEAD' else content))
with f.connect() as s:
    s.sendall(words)
    answers = s.makefile('rb')
    for status, length, content in want:
        check(answers.readline().split(b' ')[1] == status)
        head = b''
        while (line := answers.readline()) != b'\r\n':
            head += line
        check(b'content-length: %d\r\n' % length in head, head)
        check(answers.read(len(content)) == content)
# One that says that there is no more gets all of it, too.
answer = f.say(words)
check(answer.count(b'HTTP/1.1 200 OK') + answer.count(b'HTTP/1.1 404 ') == 300)
# HTTP/1.0 stays only where that is asked for.
check(f.say(b'GET /1 HTTP/1.0\r\n\r\nGET /1 HTTP/1.0\r\n\r\n').count(b'200 OK') == 1)
answer = f.say(b'GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /1 HTTP/1.0\r\n\r\n')
check(answer.count(b'200 OK') == 2 and b'connection: keep-alive' in answer)
# As many as come at once, behind one that waits for the disk.
for behind in b'GET /1', b'GET /none', b'OPTIONS /', b'HEAD /300000':
    words = b'GET /late HTTP/1.1\r\nhost: x\r\n\r\n' + (behind + b' HTTP/1.1\r\nhost: x\r\n\r\n') * 3000
    answer = f.say(words)
    check(answer.count(b'HTTP/1.1 ') == 3001, behind, answer.count(b'HTTP/1.1 '))
# The end is said once, with the last answer; nothing is answered behind it.
head = b' HTTP/1.1\r\nhost: x\r\n'
for last in head + b'connection: close\r\n', head + b'upgrade: h2c\r\n', head + b'content-length: 3\r\n', b' HTTP/1.1\r\n':
    answer = f.say(b'GET /none' + head + b'\r\nGET /1' + last + b'\r\nGET /1' + head + b'\r\n')
    check(answer.count(b'HTTP/1.1 ') == 2 and answer.count(b'connection: close') == 1, last, answer)
    check(answer.index(b'connection: close') > answer.rindex(b'HTTP/1.1 '), last, answer)
# A year behind those that clocks count.
open('late', 'w').write('x')
os.utime('late', (13_569_465_600, 13_569_465_600))
check(f.status('/late') == 200)
check(f.stop() == 0)
