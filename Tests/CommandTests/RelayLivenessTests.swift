// `splice relay` under loads in which an event is easily lost: no connection may hang, no direction may starve.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayLivenessTests {
  @Test func `an answer in the middle of a bulk transfer arrives`() throws {
    // Two events for one connection come in one batch, and the first one's turn ends in a rest. Clients and servers are processes of
    // their own, so that the relay has no time to be idle.
    try passes(
      """
      up = upstream(400)
      r = Relay(upstreams=[up])
      size = 8 << 20
      def forked(body, *words):
          process = os.fork()
          if process == 0:
              try: body(*words); os._exit(0)
              except BaseException as error: print(repr(error), file=sys.stderr); os._exit(1)
          return process
      def serve():
          room = bytearray(1 << 20)
          while True:
              far, _ = up.accept()
              got, answered = 0, False
              while count := far.recv_into(room):
                  got += count
                  if got >= size // 2 and not answered:
                      far.sendall(b'!'); answered = True
                  if got >= size: break
              far.close()
      def client():
          content = bytes(size)
          for _ in range(20):
              s = r.connect(); s.settimeout(5); s.sendall(content)
              check(s.recv(1) == b'!'); s.close()
      up.settimeout(None)
      servers = [forked(serve) for _ in range(8)]
      answered = [os.waitpid(process, 0)[1] == 0 for process in [forked(client) for _ in range(8)]]
      for process in servers: os.kill(process, signal.SIGKILL)
      check(all(answered), 'a client was not answered')
      check(r.stop() == 0)
      """)
  }

  @Test func `a byte in the other direction is not held up by bulk`() throws {
    // Sixteen sources that never run dry and sinks that always take: the flows forward rest, and never wait.
    try passes(
      """
      up = upstream(400)
      r = Relay('--threads', '1', upstreams=[up])
      def pump(*words, **more):
          p = subprocess.Popen([splice, *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **more)
          atexit.register(lambda: os.killpg(p.pid, signal.SIGKILL)); return p
      # A client sends as fast as it can, and makes a file once it was answered.
      client = 'exec:exec 3<&0; head -c 1 <&3 >%s & exec cat /dev/zero'
      fars = []
      for number in range(16):
          pump('join', client % number, 'tcp:127.0.0.1:%d' % r.port)
          far, _ = up.accept(); fars.append(far)
          pump('fd:%d' % far.fileno(), 'null:', pass_fds=[far.fileno()])
      time.sleep(1)
      for far in fars: far.sendall(b'!')
      end = time.monotonic() + 5
      while missing := [n for n in range(16) if not os.path.exists(str(n)) or not os.path.getsize(str(n))]:
          check(time.monotonic() < end, 'not answered', missing); time.sleep(0.01)
      check(r.stop(signal.SIGKILL) == -9)
      """, in: try TemporaryDirectory())
  }

  @Test func `what comes with a PROXY header arrives`() throws {
    try passes(
      """
      for first in [100, 8000, 8200, 20_000, 300_000]:
          for budget in ['4K', '32M']:
              for out in [[], ['--proxy-out', 'v2']]:
                  r = Relay('--pipe-budget', budget, '--proxy-in', 'v1', *out, upstreams=[upstream()])
                  # With a short header more of the stream is read at once, and the header that is sent on is longer.
                  for header in [b'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\\r\\n', b'PROXY UNKNOWN\\r\\n']:
                      for paused, ends in [(False, False), (True, False), (True, True)]:
                          content = os.urandom(first)
                          client = r.connect()
                          # The relay may have asked already, and its next edge may be its last: an end goes with the last bytes.
                          if paused: time.sleep(0.05)
                          if ends: client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                          client.sendall(header + content)
                          if ends: client.shutdown(1)
                          far, _ = r.upstreams[0].accept(); far.settimeout(20)
                          if out:
                              told = far.recv(16, socket.MSG_WAITALL)
                              far.recv(struct.unpack('>H', told[14:])[0], socket.MSG_WAITALL)
                          got = b''
                          while len(got) < first and (piece := far.recv(1 << 20)): got += piece
                          check(got == content, len(got), first, budget, out, header)
                          if not ends: client.shutdown(1)
                          check(all_of(far) == b''); far.close(); client.close()
                          said = r.ended(); check(said['why'] == 'end' and said['sent'] == str(first), said, first, budget)
                  check(r.stop() == 0)
      """)
  }

  @Test func `a reset is seen while the other side is stuck`() throws {
    try passes(
      """
      r = Relay('--threads', '1', upstreams=[upstream()])
      def sockets():
          names = ['/proc/%d/fd/%s' % (r.process.pid, n) for n in os.listdir('/proc/%d/fd' % r.process.pid)]
          return sum(os.path.realpath(n).rpartition('/')[2].startswith('socket:') for n in names)
      before = sockets()
      def fill(s):
          s.setblocking(False)
          still = 0
          while still < 20:
              try: s.send(bytes(1 << 20)); still = 0
              except BlockingIOError: still += 1; time.sleep(0.01)
      for byClient in [True, False]:
          client, far = r.pair()
          one, other = (client, far) if byClient else (far, client)
          # The other one does not read: bytes are in the relay's pipe and in all queues.
          fill(one); reset(one)
          said = r.ended(); check('reset' in said['why'] and said['ended'] == ('client' if byClient else 'upstream'), said)
          check(is_reset(other))
          until(lambda: sockets() == before, 'sockets', sockets(), before)
      check(r.stop() == 0)
      """)
  }
}
