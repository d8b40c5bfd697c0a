// What the relay asks of TCP, and PROXY headers between real sockets.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct RelayTCPTests {
  /// A peer that answers probes and does not read is alive; how long it may take to read is another question.
  @Test func `a live client that pauses outlives keepalive, but not the user timeout`() throws {
    try operates(
      #"""
      def begin(seconds, *options):
          r = Relay(*options, '--threads', '1', upstreams=[upstream()])
          s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); s.settimeout(20)
          s.connect(('127.0.0.1', r.port)); far, _ = r.upstreams[0].accept(); far.settimeout(20)
          # More than all the buffers between them take.
          far.setblocking(False); sent = 0
          def stuck():
              nonlocal sent
              try:
                  while True: sent += far.send(bytes(1 << 16))
              except BlockingIOError: return False
              except OSError: return True
          since = time.monotonic()
          while time.monotonic() - since < seconds and not stuck(): time.sleep(0.05)
          return r, s, far, sent
      r, client, far, sent = begin(4.5, '--keepalive', '1s')
      far.close(); client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
      check(len(all_of(client)) == sent, 'all of it arrives'); client.close()
      check(r.ended()['why'] == 'end')
      check(r.stop() == 0)
      r, client, far, sent = begin(1, '--user-timeout', '1s')
      said = r.ended(); check(said['ended'] == 'client' and 'timed out' in said['why'], said)
      check(r.stop() == 0)
      """#)
  }

  /// Whoever speaks for itself, or does not say, is the end of its own connection.
  @Test(arguments: ["v1", "v2"])
  func `a PROXY header that names nobody leaves the real ends`(_ version: String) throws {
    try operates(
      #"""
      r = Relay('--proxy-in', 'any', '--proxy-out', 'VERSION', upstreams=[upstream()])
      signature = b'\r\n\r\n\0\r\nQUIT\n'
      for header in [b'PROXY UNKNOWN\r\n', b'PROXY UNKNOWN ::1 ::1 1 2\r\n', signature + b'\x20\0\0\0', signature + b'\x20\x11\0\x0c' + bytes(12), signature + b'\x21\0\0\0']:
          client = r.connect(); client.sendall(header + b'hello')
          far, _ = r.upstreams[0].accept(); far.settimeout(20)
          mine, port = client.getsockname()[1], r.port
          want = b'PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n' % (mine, port) if 'VERSION' == 'v1' else \
                 signature + b'\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01' + struct.pack('>HH', mine, port)
          got = far.recv(len(want) + 5, socket.MSG_WAITALL)
          check(got == want + b'hello', header, got)
          client.close(); far.close()
          check(r.ended()['client'] == '127.0.0.1:%d' % mine)
      check(r.stop() == 0)
      """#.replacing("VERSION", with: version))
  }

  @Test func `extensions go through, and what is no address is refused`() throws {
    try operates(
      #"""
      r = Relay('--proxy-in', 'any', '--proxy-out', 'v2', upstreams=[upstream()])
      # ALPN, a unique ID, and SSL with a name in it.
      extensions = b'\x01\0\x02h2' + b'\x05\0\x03abc' + b'\x20\0\x0c\x01\0\0\0\0\x22\0\x04host'
      addresses = bytes([192, 0, 2, 1, 192, 0, 2, 2, 3, 0xe8, 7, 0xd0])
      header = b'\r\n\r\n\0\r\nQUIT\n\x21\x11' + struct.pack('>H', 12 + len(extensions)) + addresses + extensions
      client = r.connect(); client.sendall(header + b'hello')
      far, _ = r.upstreams[0].accept(); far.settimeout(20)
      got = far.recv(len(header) + 5, socket.MSG_WAITALL)
      check(got == header + b'hello', got)
      client.close(); far.close(); check(r.ended()['sent'] == '5')
      client = r.connect(); client.sendall(b'PROXY TCP4 1.2.3.4\0junk 1.2.3.4 1 2\r\n')
      check(is_reset(client)); check('PROXY header' in r.ended()['why'])
      check(r.stop() == 0)
      """#)
  }

  @Test func `the admin pages wait for descriptors`() throws {
    try operates(
      #"""
      r = Relay(*admin, '--threads', '1', '--max-connections', '1000', '--log-level', 'warning', upstreams=[upstream(400)], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)))
      port = admin_port(r)
      clients = [r.connect() for _ in range(80)]
      r.line('cannot take clients')
      visitors = [socket.create_connection(('127.0.0.1', port)) for _ in range(3)]
      for s in visitors: s.settimeout(20); s.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
      before = r.seconds(); time.sleep(1.5)
      check(r.seconds() - before < 0.3, 'it spins', r.seconds() - before)
      for c in clients: reset(c)
      # Those who have waited are answered.
      for s in visitors: check(all_of(s).endswith(b'ok\n'))
      check(r.stop(signal.SIGKILL) == -9)
      """#)
  }

  /// Requests that come at once are answered one after the other.
  @Test func `requests in a row are answered in order`() throws {
    try operates(
      #"""
      r = Relay(*admin, '--threads', '1', upstreams=[upstream()])
      v = socket.create_connection(('127.0.0.1', admin_port(r))); v.settimeout(20)
      v.sendall(b''.join(b'GET /%s HTTP/1.1\r\nHost: a\r\n\r\n' % p for p in [b'healthz', b'nowhere', b'readyz']) + b'HEAD /healthz HTTP/1.0\r\n\r\n')
      got = all_of(v)
      check(re.findall(rb'HTTP/1\.1 (\d+)', got) == [b'200', b'404', b'200', b'200'], got)
      check(r.stop() == 0)
      """#)
  }

  /// Also those who leave while they have asked for more.
  @Test func `no visitor of the admin pages ends the relay`() throws {
    try operates(
      #"""
      r = Relay(*admin, '--threads', '1', upstreams=[upstream()])
      port = admin_port(r)
      client, far = r.pair()
      for n in range(60):
          v = socket.create_connection(('127.0.0.1', port)); v.settimeout(20)
          v.sendall(b'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n' * (40 if n % 2 else 17) + (b'' if n % 3 else b'GET / HTTP/1.0\r\n\r\n'))
          if n % 3 == 0: check(len(re.findall(rb'HTTP/1\.1 200', all_of(v))) >= 16); v.close()
          elif n % 3 == 1: reset(v)
          else: v.close()
      check(ask(port, '/healthz')[0] == 200)
      client.sendall(b'x'); check(far.recv(1) == b'x'); client.close(); far.close()
      check(r.stop() == 0)
      """#)
  }

  /// Those that were reset while they were answered hold no place of the living.
  @Test func `visitors that were reset hold no place`() throws {
    try operates(
      #"""
      r = Relay(*admin, '--threads', '1', upstreams=[upstream()])
      port = admin_port(r)
      living = socket.create_connection(('127.0.0.1', port)); living.settimeout(20)
      for _ in range(80):
          v = socket.create_connection(('127.0.0.1', port)); v.sendall(b'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'); reset(v)
      check(ask(port, '/healthz')[0] == 200)
      living.sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
      check(all_of(living).endswith(b'ok\n'))
      check(r.stop() == 0)
      """#)
  }

  /// They are a small part of the descriptors, whatever they do.
  @Test(arguments: [50, 64, 120]) func `silent visitors keep nobody out`(_ descriptors: Int) throws {
    try operates(
      #"""
      r = Relay(*admin, '--threads', '1', upstreams=[upstream()], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST)))
      port = admin_port(r)
      visitors = [socket.create_connection(('127.0.0.1', port)) for _ in range(100)]
      for v in visitors:
          try: v.sendall(b'G')
          except OSError: pass
      client, far = r.pair()
      client.sendall(b'x'); check(far.recv(1) == b'x')
      check(ask(port, '/healthz') == (200, 'ok\n'))
      client.close(); far.close()
      check(r.stop() == 0)
      """#.replacingOccurrences(of: "MOST", with: "\(descriptors)"))
  }
}
