import socket

from broadcasting import Broadcast
from splicing import check, text

origin = socket.create_server(('127.0.0.1', 0))
origin.settimeout(20)
url = 'http://127.0.0.1:%d/' % origin.getsockname()[1]
content = b'0123456789' * 40
for number, (head, body) in enumerate([
    (b'content-length: 400\r\n', content),
    (b'', content),
    (b'Transfer-Encoding: Chunked\r\n', b'190\r\n' + content + b'\r\n0\r\n\r\n'),
]):
    for align in ('1', '188'):
        name = 'show%d-%s' % (number, align)
        b = Broadcast('--once', '--align', align, '--record', name, source=url)
        far, _ = origin.accept()
        far.recv(1000)
        far.sendall(b'HTTP/1.1 200 OK\r\n' + head + b'\r\n' + body)
        far.close()
        check(b.process.wait(20) == 0, b.log())
        check(text(name) == content, name, text(name))
# What is not understood is no stream.
b = Broadcast('--record', 'none', source=url)
far, _ = origin.accept()
far.recv(1000)
far.sendall(b'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nxxxx')
check('transfer coding' in b.line('source ended'))
check(b.stop() == 0)
check(text('none') is None)
