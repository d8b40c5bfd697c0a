import socket

from broadcasting import Broadcast, exactly
from splicing import check, is_reset, reset, text, until

content = bytes(range(256)) * 1000

# A sender that is killed, when no other is waited for.
b = Broadcast('--once', '--record', 'show')
viewer, sender = b.viewer(), b.sender()
sender.sendall(content)
check(exactly(viewer, len(content)) == content)
reset(sender)
check(is_reset(viewer))
check(b.process.wait(20) == 74)
until(b.has_said_all)
check('read: Connection reset by peer' in b.log()[-1], b.log())
check(text('show') == content)

# An answer over HTTP that is shorter than it said.
origin = socket.create_server(('127.0.0.1', 0))
origin.settimeout(20)
for head, body in [
    (b'content-length: 300000\r\n', content), (b'transfer-encoding: chunked\r\n', b'3e800\r\n' + content),
]:
    b = Broadcast('--once', '--rate-limit', '1M', source='http://127.0.0.1:%d/' % origin.getsockname()[1])
    far, _ = origin.accept()
    viewer = b.viewer()
    far.recv(1000)
    far.sendall(b'HTTP/1.1 200 OK\r\n' + head + b'\r\n' + body)
    far.close()
    check(exactly(viewer, len(content)) == content)
    check(is_reset(viewer))
    check(b.process.wait(20) == 74)
