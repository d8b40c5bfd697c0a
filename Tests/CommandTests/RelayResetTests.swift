// `splice relay` and how a connection looks to its two peers when it was cut off, and when it was not.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayResetTests {
  @Test func `a half-close timeout resets both sides`() throws {
    try passes(
      """
      r = Relay('--half-close-timeout', '200ms', upstreams=[upstream()])
      for client_ends in [True, False]:
          client, far = r.pair()
          ended, other = (client, far) if client_ends else (far, client)
          ended.shutdown(1)
          check(other.recv(1) == b'')
          # Half of an answer, which nothing follows.
          other.sendall(b'half'); check(ended.recv(4) == b'half')
          check(is_reset(ended), 'a clean end', client_ends)
          # The other has had its end before; that it was reset it sees when it goes on.
          until(lambda: other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, 'not reset', client_ends)
          said = r.ended(); check(said['why'] == 'half-close timeout', said)
      check(r.stop() == 0)
      """)
  }

  /// However the process ends; also where the listener was passed by a service manager.
  @Test(arguments: [false, true])
  func `both sides are reset when the process is killed`(_ isInherited: Bool) throws {
    try passes(
      """
      inherited = \(isInherited ? "True" : "False")
      def begin():
          if not inherited: return Relay('--drain-timeout', '60s', upstreams=[upstream()])
          held = socket.create_server(('127.0.0.1', 0))
          pass_on = ['bash', '-c', 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % held.fileno(), '-']
          r = Relay('--drain-timeout', '60s', upstreams=[upstream()], listen='systemd', wrap=pass_on, pass_fds=[held.fileno()])
          r.held = held; return r
      for number in [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]:
          for bulk in [False, True]:
              r = begin()
              client, far = r.pair()
              client.sendall(b'half'); check(far.recv(4) == b'half')
              far.sendall(b'half'); check(client.recv(4) == b'half')
              half_closed, other = r.pair()
              half_closed.shutdown(1); check(other.recv(1) == b'')
              if bulk:
                  # Both directions are full.
                  for s in (client, far):
                      s.setblocking(False)
                      try:
                          while True: s.send(bytes(1 << 20))
                      except BlockingIOError: s.settimeout(20)
              r.process.send_signal(number)
              if number != signal.SIGKILL:
                  r.line('draining')
                  r.process.send_signal(number)
              check(r.process.wait(20) == -number)
              check(is_reset(client) and is_reset(far) and is_reset(half_closed), number, bulk)
      """)
  }

  @Test func `what was ended arrives whole after the process is gone`() throws {
    try passes(
      """
      content = os.urandom(400_000)
      for number in [signal.SIGKILL, signal.SIGTERM]:
          up = upstream()
          up.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
          r = Relay(upstreams=[up])
          # Windows so small that most of it is in the relay's queues when it has ended.
          client = socket.socket(); client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); client.settimeout(20)
          client.connect(('127.0.0.1', r.port))
          far, _ = up.accept(); far.settimeout(20)
          for s in (client, far):
              s.sendall(content); s.shutdown(1)
          check(r.ended()['why'] == 'end')
          check(r.stop(number) == (0 if number == signal.SIGTERM else -9))
          check(all_of(client) == content and all_of(far) == content, number)
      """)
  }

  /// Who answers and closes before it has read: the client gets the answer, and then learns that not all it sent has arrived.
  @Test(arguments: ["AF_UNIX", "AF_INET"])
  func `an answer before the request was read arrives`(_ family: String) throws {
    try passes(
      """
      import fcntl, struct, tempfile
      unix = '\(family)' == 'AF_UNIX'
      where = tempfile.mkdtemp() + '/s' if unix else ('127.0.0.1', 0)
      u = upstream(family=socket.\(family), where=where)
      r = Relay('--threads', '1', upstreams=['unix:' + where if unix else u])
      def unread(s): return struct.unpack('i', fcntl.ioctl(s, 0x5411, b'    '))[0]
      for number in range(20):
          client = r.connect(); far, _ = u.accept()
          size = 5000 if unix else 400_000
          sending = in_thread(lambda: far.sendall(b'a' * size))
          got = client.recv(1); sending()
          # Nothing of it is left with the upstream, whose own end would throw it away.
          until(lambda: unread(far) == 0, 'unread', number)
          client.sendall(b'x' * 10); client.sendall(b'y' * 10)
          far.close()
          time.sleep(0.05)
          try: client.sendall(b'z' * 100)
          except ConnectionError: pass
          try:
              while d := client.recv(30_000): got += d; time.sleep(0.002)
          except ConnectionError: pass
          check(len(got) == size, number, len(got))
          client.close()
      check(r.stop() == 0)
      """)
  }

  /// A unix upstream that closes with the request unread has said all it said, however slowly that is taken.
  @Test(arguments: ["AF_UNIX", "AF_INET"])
  func `a long answer before the request was read arrives`(_ family: String) throws {
    try passes(
      """
      import select, tempfile
      unix = '\(family)' == 'AF_UNIX'
      d = tempfile.mkdtemp()
      u = upstream(family=socket.AF_UNIX, where=d + '/u')
      r = Relay('--threads', '1', upstreams=['unix:' + d + '/u'], listen='unix:' + d + '/l' if unix else '127.0.0.1:0')
      for number in range(3):
          if unix:
              client = socket.socket(socket.AF_UNIX); client.settimeout(20); client.connect(d + '/l')
          else: client = r.connect()
          far, _ = u.accept()
          client.sendall(b'request')
          check(far.recv(7, socket.MSG_PEEK) == b'request')
          far.setblocking(False)
          sent = 0
          # As much as is taken while nobody reads.
          while sent < 4_000_000 and select.select([], [far], [], 0.5)[1]: sent += far.send(b'a' * 16384)
          check(sent > 200_000, sent)
          far.close()
          got, reset = 0, unix
          try:
              while d2 := client.recv(30_000): got += len(d2); time.sleep(0.001)
          except ConnectionResetError: reset = True
          # Who left something unread may have been killed while it answered.
          check(got == sent and reset, number, got, sent, reset)
          client.close()
      check(r.stop() == 0)
      """)
  }
}
