import os
import subprocess

from filing import Files
from splicing import check

os.mkdir('sub')
open('index.html', 'w').write('<p>top')
open('sub/page.html', 'w').write('<p>page')
big = os.urandom(5_000_000)
open('big.bin', 'wb').write(big)
open('empty', 'w').close()
f = Files()
answer, content = f.ask('/')
check(answer.status == 200 and content == b'<p>top' and answer.version == 11)
check(answer.getheader('content-type') == 'text/html; charset=utf-8')
check(answer.getheader('x-content-type-options') == 'nosniff')
check(answer.getheader('etag') and answer.getheader('last-modified') and answer.getheader('date'))
answer, content = f.ask('/sub/page.html')
check(content == b'<p>page')
answer, content = f.ask('/big.bin')
check(content == big and answer.getheader('content-length') == '5000000')
answer, content = f.ask('/big.bin', 'HEAD')
check(answer.getheader('content-length') == '5000000' and content == b'')
check(f.ask('/empty')[1] == b'' and f.status('/empty') == 200)
answer, _ = f.ask('/sub')
check((answer.status, answer.getheader('location')) == (301, '/sub/'))
check(f.status('/sub/') == 404 and f.status('/none') == 404 and f.status('/index.html/') == 404)
answer, _ = f.ask('/', 'OPTIONS')
check((answer.status, answer.getheader('allow')) == (204, 'GET, HEAD, OPTIONS'))
for method in 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT':
    check(f.status('/', method) == 405, method)


def curl(*words):
    return subprocess.run(
        ['curl', '-s', '--max-time', '20', *words, f'http://127.0.0.1:{f.port}/big.bin'],
        check=True, stdout=subprocess.PIPE,
    ).stdout


check(curl('--http1.0') == big)
check(curl('-H', 'Expect: 100-continue') == big)
open('part', 'wb').write(big[:1_234_567])
curl('-C', '-', '-o', 'part')
check(open('part', 'rb').read() == big)
check(f.stop() == 0)
