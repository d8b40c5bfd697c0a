import socket
import struct

from relaying import Relay, upstream
from splicing import check, is_reset

r = Relay('--proxy-in', 'any', '--proxy-out', 'v2', upstreams=[upstream()])
# ALPN, a unique ID, and SSL with a name in it.
extensions = b'\x01\0\x02h2' + b'\x05\0\x03abc' + b'\x20\0\x0c\x01\0\0\0\0\x22\0\x04host'
addresses = bytes([192, 0, 2, 1, 192, 0, 2, 2, 3, 0xE8, 7, 0xD0])
header = b'\r\n\r\n\0\r\nQUIT\n\x21\x11' + struct.pack('>H', 12 + len(extensions)) + addresses + extensions
client = r.connect()
client.sendall(header + b'hello')
far, _ = r.upstreams[0].accept()
far.settimeout(20)
got = far.recv(len(header) + 5, socket.MSG_WAITALL)
check(got == header + b'hello', got)
client.close()
far.close()
check(r.ended()['sent'] == '5')
client = r.connect()
client.sendall(b'PROXY TCP4 1.2.3.4\0junk 1.2.3.4 1 2\r\n')
check(is_reset(client))
check('PROXY header' in r.ended()['why'])
check(r.stop() == 0)
