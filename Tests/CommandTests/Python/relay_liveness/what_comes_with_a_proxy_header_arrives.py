import os
import socket
import struct

from relaying import Relay, upstream
from splicing import all_of, check, until

for first in [100, 8000, 8200, 20_000, 300_000]:
    for budget in ['4K', '32M']:
        for out in [[], ['--proxy-out', 'v2']]:
            r = Relay('--pipe-budget', budget, '--proxy-in', 'v1', *out, upstreams=[upstream()])
            # With a short header more of the stream is read at once,
            # and the header that is sent on is longer.
            for header in [b'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n', b'PROXY UNKNOWN\r\n']:
                for paused, ends in [(False, False), (True, False), (True, True)]:
                    content = os.urandom(first)
                    client = r.connect()
                    # The relay may have asked already, and its next edge may be its last:
                    # an end goes with the last bytes.
                    if paused:
                        until(r.is_asleep, 'it waits')
                    if ends:
                        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                    client.sendall(header + content)
                    if ends:
                        client.shutdown(1)
                    far, _ = r.upstreams[0].accept()
                    far.settimeout(20)
                    if out:
                        told = far.recv(16, socket.MSG_WAITALL)
                        far.recv(struct.unpack('>H', told[14:])[0], socket.MSG_WAITALL)
                    got = b''
                    while len(got) < first and (piece := far.recv(1 << 20)):
                        got += piece
                    check(got == content, len(got), first, budget, out, header)
                    if not ends:
                        client.shutdown(1)
                    check(all_of(far) == b'')
                    far.close()
                    client.close()
                    said = r.ended()
                    check(said['why'] == 'end' and said['sent'] == str(first), said, first, budget)
            check(r.stop() == 0)
