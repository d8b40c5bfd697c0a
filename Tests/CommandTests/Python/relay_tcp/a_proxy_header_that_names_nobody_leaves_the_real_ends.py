import socket
import struct

from relaying import Relay, upstream
from splicing import arguments, check

version = arguments[0]
r = Relay('--proxy-in', 'any', '--proxy-out', version, upstreams=[upstream()])
signature = b'\r\n\r\n\0\r\nQUIT\n'
for header in [
    b'PROXY UNKNOWN\r\n',
    b'PROXY UNKNOWN ::1 ::1 1 2\r\n',
    signature + b'\x20\0\0\0',
    signature + b'\x20\x11\0\x0c' + bytes(12),
    signature + b'\x21\0\0\0',
]:
    client = r.connect()
    client.sendall(header + b'hello')
    far, _ = r.upstreams[0].accept()
    far.settimeout(20)
    mine, port = client.getsockname()[1], r.port
    want = (
        b'PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n' % (mine, port)
        if version == 'v1'
        else signature + b'\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01' + struct.pack('>HH', mine, port)
    )
    got = far.recv(len(want) + 5, socket.MSG_WAITALL)
    check(got == want + b'hello', header, got)
    client.close()
    far.close()
    check(r.ended()['client'] == '127.0.0.1:%d' % mine)
check(r.stop() == 0)
