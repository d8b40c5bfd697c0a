import time

from relaying import Relay, upstream
from splicing import check, has_nobody, is_reset, until

r = Relay('--proxy-in', 'any', '--proxy-out', 'v2', upstreams=[upstream()])
header = b'PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n'
client = r.connect()
# A byte at a time, and the stream right behind it.
for byte in header[:-1]:
    client.sendall(bytes([byte]))
client.sendall(header[-1:] + b'hello')
far, _ = r.upstreams[0].accept()
far.settimeout(20)
want = (
    bytes(
        [
            0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12,
            192, 0, 2, 1, 192, 0, 2, 2, 3, 0xE8, 7, 0xD0,
        ]
    )
    + b'hello'
)
got = b''
while len(got) < len(want):
    got += far.recv(100)
check(got == want, got)
client.close()
far.close()
said = r.ended()
check(said['client'] == '192.0.2.1:1000' and said['sent'] == '5', said)
# What is not a header, one that is too long, one that is cut short:
# reset, and the upstream never hears of them.
for words in [b'GET / HTTP/1.1\r\n', b'PROXY ' + b'x' * 300, want[:14] + b'\xff\xff', header[:9]]:
    client = r.connect()
    client.sendall(words)
    if words == header[:9]:
        client.shutdown(1)
    check(is_reset(client), words)
    check('PROXY' in r.ended()['why'])
# Nor of one that is slow.
client = r.connect()
begin = time.monotonic()
client.sendall(header[:9])
check(is_reset(client))
check(4 < time.monotonic() - begin < 10)
check('timed out' in r.ended()['why'])
until(r.is_asleep, 'all is dealt with')
check(has_nobody(r.upstreams[0]), 'the upstream heard')
check(r.stop() == 0)
# An upstream that speaks first is told all the same.
r = Relay('--proxy-out', 'v1', upstreams=[upstream()])
client, far = r.pair()
want = 'PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n' % (client.getsockname()[1], r.port)
check(far.recv(200).decode() == want)
far.sendall(b'welcome')
check(client.recv(7) == b'welcome')
