# However a way out of the directory is written, nothing is shown: dots and slashes encoded once, twice, in
# part, too long or as other letters; backslashes, control bytes, and targets with a host.
import itertools
import os

from filing import Files
from splicing import check

os.makedirs('www/sub')
for place in '', 'www/':
    open(place + 'secret', 'w').write('shown' if place else 'outside')
open('www/a', 'w').write('shown')
f = Files('--listing', directory='www')


def ask(target, status=(b'400', b'404')):
    answer = f.say(b'GET ' + target + b' HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    check(answer.startswith(b'HTTP/1.1 ') and answer[9:12] in status, target, answer)
    check(b'outside' not in answer and b'root:' not in answer, target, answer)
    return answer


dots = [
    b'.', b'%2e', b'%2E', b'%252e', b'%25252e', b'%c0%ae', b'%C0%AE', b'%c0%2e', b'%c0.', b'%e0%80%ae',
    b'%f0%80%80%ae', b'%f8%80%80%80%ae', b'%ef%bc%8e', b'%u002e', b'%%32%65', b'%2', b'%zz', b'\xc0\xae',
    b'\xe0\x80\xae', b'\xef\xbc\x8e',
]
slashes = [
    b'/', b'%2f', b'%2F', b'%252f', b'%c0%af', b'%e0%80%af', b'%ef%bc%8f', b'%u2215', b'\\', b'%5c', b'%255c',
    b'%c1%9c', b'//', b'/%2f', b'\xc0\xaf', b';/', b'%00/', b'%0a/', b'%20/', b'%09/', b'%7f/', b'%ff/',
]
for dot, slash in itertools.product(dots, slashes):
    ask(b'/' + dot + dot + slash + b'secret')
for one, other in itertools.product(dots, dots):
    ask(b'/sub/' + one + other + b'/' + one + other + b'/secret')
# At another depth, behind a file, and at the end.
for up in b'..', b'%2e%2e', b'.%2e', b'%2e.':
    for target in b'/@', b'/@/', b'/sub/@', b'/sub/@/', b'/a/@/a', b'/sub/' + b'@/' * 9 + b'etc/passwd':
        ask(target.replace(b'@', up))
    # The rest of a target is no path.
    check(b'shown' in ask(b'/a?/' + up + b'/' + up + b'/secret', [b'200']))
# From the root of the file system.
path = os.path.abspath('secret').encode()
for target in b'//etc/passwd', b'///etc/passwd', b'/%2fetc%2fpasswd', path, b'/' + path:
    ask(target)
# With a host, with another scheme, and without a slash.
for host in b'http://x', b'HTTP://x', b'https://x', b'http://x:80', b'http://u:p@x', b'http://[::1]':
    for rest in b'/../secret', b'/%2e%2e/secret', b'/%2e%2e%2fsecret', b'/sub/../../secret', b'//etc/passwd':
        ask(host + rest)
for target in b'file:///etc/passwd', b'file:' + path, b'../secret', b'secret', b'..', b'http:///../secret':
    ask(target)
# Bytes that no name has, as they are and encoded.
for byte in [*range(0x20), 0x7F]:
    code = b'%%%02x' % byte
    for target in b'/a' + code, b'/' + code + b'a', b'/..' + code + b'/secret', b'/' + code + b'../secret':
        ask(target)
    if byte not in (0x09, 0x0A, 0x0D):
        ask(b'/a' + bytes([byte]))
        ask(b'/..' + bytes([byte]) + b'/secret')
# What may be written in more than one way is one thing, and a host is no name.
for target in b'/secret', b'/%73%65cret', b'//secret', b'http://x/secret', b'http://../secret':
    check(b'shown' in ask(target, [b'200']), target)
check(f.stop() == 0)
