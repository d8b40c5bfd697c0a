import os
import socket
import stat

from filing import Files
from splicing import check

os.mkdir('www')
os.mkdir('www/sub')
open('secret', 'w').write('secret')
open('www/a', 'w').write('shown')
open('www/.hidden', 'w').write('secret')
os.mkdir('www/.well-known')
open('www/.well-known/x', 'w').write('shown')
os.mkdir('www/sub/.git')
open('www/sub/.git/config', 'w').write('secret')
os.symlink('../secret', 'www/out')
os.symlink('..', 'www/up')
os.symlink(os.path.abspath('secret'), 'www/absolute')
os.symlink('/proc/self/root' + os.path.abspath('secret'), 'www/magic')
os.symlink('/proc/self/fd', 'www/fds')
os.symlink('a', 'www/within')
os.symlink('loop', 'www/loop')
os.mkfifo('www/fifo')
s = socket.socket(socket.AF_UNIX)
s.bind('www/socket')
if os.getuid() == 0:
    os.mknod('www/device', 0o666 | stat.S_IFCHR, os.makedev(1, 5))
f = Files('--listing', directory='www')
check(f.ask('/a')[1] == b'shown' and f.ask('/within')[1] == b'shown' and f.ask('/.well-known/x')[1] == b'shown')
paths = [
    '/../secret', '/%2e%2e/secret', '/..%2fsecret', '/%2e%2e%2fsecret', '/sub/../../secret', '/sub/%2e%2e/%2e%2e/secret',
    '/..%5csecret', '/..\\secret', '/%252e%252e/secret', '/.%00/secret', '/a%00', '/a%0a', '//../secret', '/up/secret',
    '/out', '/absolute', '/magic', '/fds/0', '/loop', '/fifo', '/socket', '/device', '/.hidden', '/sub/.git/config', '/%c0%ae%c0%ae/secret',
    '/./a/../../secret', '/up/', '/sub/..', '/' + 'a' * 300, '/' + 'a/' * 1500, 'http://host/../secret', '/a/', '/a/b',
]
for path in paths:
    words = f'GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'.encode('latin-1')
    answer = f.say(words)
    check(answer[:12] in (b'HTTP/1.1 400', b'HTTP/1.1 404'), path, answer)
    check(b'secret' not in answer, path, answer)
check(f.say(b'GET /' + b'a' * 5000 + b' HTTP/1.1\r\nhost: x\r\n\r\n').startswith(b'HTTP/1.1 414'))

# What is made while it is served.
os.symlink('../secret', 'www/new')
os.rename('www/sub', 'www/moved')
os.symlink('..', 'www/sub')
check(f.status('/new') == 404 and f.status('/sub/secret') == 404)
page = f.ask('/')[1].decode()
for name in 'hidden', 'out', 'up', 'new', 'fifo', 'socket', 'device', 'absolute', 'magic':
    check(f'>{name}' not in page, name)
check('>moved/</a>' in page and '>within</a>' in page)

# A stranger's names in a listing.
open('www/<script>&"', 'w').write('x')
open('www/javascript:x', 'w').write('x')
page = f.ask('/')[1].decode()
check('<script>' not in page and '&lt;script&gt;&amp;&quot;' in page and 'href="./javascript%3Ax"' in page)
check(f.status('/%3Cscript%3E%26%22') == 200)
answer, _ = f.ask('//moved')
check(answer.getheader('location') == '/moved/')
