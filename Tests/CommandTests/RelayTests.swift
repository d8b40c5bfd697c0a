// `splice relay`: the built command between real sockets.

import TestSupport
import Testing

@Suite struct RelayTests {
  @Test func `bytes go both ways, and ends are passed on`() throws {
    try passes(
      """
      r = Relay('--threads', '2', upstreams=[upstream()])
      content, answer = os.urandom(20_000_000), os.urandom(9_000_001)
      client, far = r.pair()
      sending = in_thread(lambda: (client.sendall(content), client.shutdown(1)))
      check(all_of(far) == content, 'what the upstream got'); sending()
      # The client's end has been passed on, and the upstream still talks.
      reading = in_thread(all_of, client)
      far.sendall(answer); far.close()
      check(reading() == answer, 'what the client got')
      said = r.ended()
      check(said['sent'] == str(len(content)) and said['received'] == str(len(answer)), said)
      check(said['ended'] == 'client' and said['why'] == 'end', said)
      # The other way round.
      client, far = r.pair()
      far.shutdown(1)
      check(client.recv(1) == b'')
      client.sendall(b'still here'); client.close()
      check(all_of(far) == b'still here')
      check(r.ended()['ended'] == 'upstream')
      check(r.stop() == 0)
      """)
  }

  @Test func `another upstream is tried before any byte was sent`() throws {
    try passes(
      """
      gone = upstream(); nowhere = name(gone); gone.close()
      # A listener whose queue is full does not answer.
      full = upstream(0); crowd = []
      for _ in range(4):
          s = socket.socket(); s.setblocking(False)
          try: s.connect(full.getsockname())
          except BlockingIOError: pass
          crowd.append(s)
      here = upstream()
      r = Relay('--connect-timeout', '200ms', upstreams=[nowhere, full, here])
      for _ in range(6):
          client, far = r.pair(2)
          client.sendall(b'x'); check(far.recv(1) == b'x'); client.close(); far.close()
          check(r.ended()['upstream'] == name(here))
      here.close()
      client = r.connect()
      check(is_reset(client), 'nobody answers')
      check('connect' in r.ended()['why'])
      check(r.stop() == 0)
      """)
  }

  @Test func `upstreams take turns`() throws {
    try passes(
      """
      ups = [upstream() for _ in range(3)]
      r = Relay(upstreams=ups)
      for turn in range(7):
          client, far = r.pair(turn % 3)
          client.sendall(bytes(1000 + turn)); client.shutdown(1)
          check(all_of(far) == bytes(1000 + turn))
          far.sendall(bytes(10)); far.close()
          check(all_of(client) == bytes(10)); client.close()
          r.ended()
      check(r.stop() == 0)
      counts = [r.line('] upstream') for _ in ups] + [r.line('] total')]
      numbers = [tuple(int(re.search(r'\\b%s=(\\d+)' % word, line)[1]) for word in ('connections', 'sent', 'received')) for line in counts]
      check(numbers == [(3, 3009, 30), (2, 2005, 20), (2, 2007, 20), (7, 7021, 70)], counts)
      r = Relay('--balance', 'least-connections', upstreams=ups)
      held = [r.pair(turn) for turn in range(3)]
      # Whoever lost one is next, again and again.
      for turn in [1, 2, 0, 1] * 20:
          client, far = held[turn]
          client.close(); far.close(); r.ended()
          held[turn] = r.pair(turn)
      """)
  }

  @Test func `no more clients are served than allowed`() throws {
    try passes(
      """
      r = Relay('--max-connections', '2', '--threads', '2', upstreams=[upstream()])
      first, second = r.pair(), r.pair()
      third = r.connect(); third.sendall(b'I wait')
      r.upstreams[0].settimeout(0.3)
      try: r.upstreams[0].accept(); check(False, 'a third was served')
      except TimeoutError: pass
      r.upstreams[0].settimeout(20)
      before = r.seconds()
      first[0].close(); first[1].close()
      far, _ = r.upstreams[0].accept()
      check(far.recv(10) == b'I wait')
      check(r.stop(signal.SIGKILL) == -9)
      """)
  }

  @Test func `idle and half-close timeouts end a connection`() throws {
    try passes(
      """
      r = Relay('--idle-timeout', '400ms', '--half-close-timeout', '200ms', upstreams=[upstream()])
      client, far = r.pair()
      begin = time.monotonic()
      # As long as something moves, one way or the other, it goes on.
      for turn in range(8):
          (client, far)[turn % 2].sendall(b'x'); check((far, client)[turn % 2].recv(1) == b'x'); time.sleep(0.1)
      check(time.monotonic() - begin > 0.7)
      check(is_reset(client) and is_reset(far), 'idle')
      said = r.ended(); check(said['why'] == 'idle timeout' and said['ended'] == 'relay', said)
      client, far = r.pair()
      client.shutdown(1)
      check(far.recv(1) == b'')
      check(is_reset(client), 'half-closed')
      said = r.ended(); check(said['why'] == 'half-close timeout' and said['ended'] == 'client', said)
      # A side that is stuck is idle, however much the other has to say.
      client, far = r.pair()
      begin = time.monotonic()
      try:
          while True: client.sendall(bytes(1 << 16))
      except (ConnectionResetError, BrokenPipeError): pass
      check(r.ended()['why'] == 'idle timeout')
      check(r.stop() == 0)
      """)
  }

  @Test func `a rate is kept`() throws {
    try passes(
      """
      r = Relay('--rate-limit', '1M', upstreams=[upstream()])
      client, far = r.pair()
      sending = in_thread(lambda: (client.sendall(bytes(1 << 20)), client.shutdown(1)))
      begin = time.monotonic()
      check(len(all_of(far)) == 1 << 20)
      check(time.monotonic() - begin > 0.7, 'not limited')
      far.close(); check(r.ended()['sent'] == str(1 << 20))
      """)
  }

  @Test func `every accepted byte arrives when the relay is to end`() throws {
    try passes(
      """
      r = Relay('--drain-timeout', '20s', upstreams=[upstream()])
      content = os.urandom(8_000_000)
      pairs = [r.pair() for _ in range(4)]
      senders = [in_thread(lambda c=c: (c.sendall(content), c.shutdown(1))) for c, _ in pairs]
      readers = [in_thread(all_of, far) for _, far in pairs[:3]]
      r.process.send_signal(signal.SIGTERM)
      # Nobody else is taken.
      def refused():
          try: reset(r.connect()); return False
          except OSError: return True
      until(refused, 'refused')
      check(all(read() == content for read in readers))
      readers = [in_thread(all_of, pairs[3][1])]
      check(readers[0]() == content)
      for client, far in pairs: far.close(); client.close()
      check(r.process.wait(20) == 0)
      """)
  }

  @Test func `a connection that does not end is cut off after the drain timeout`() throws {
    try passes(
      """
      r = Relay('--drain-timeout', '200ms', upstreams=[upstream()])
      client, far = r.pair()
      check(r.stop() == 0)
      check(is_reset(client) and is_reset(far))
      check(r.ended()['why'] == 'drain timeout')
      # A second signal does not wait for anybody.
      for number, again in [(signal.SIGTERM, -15), (signal.SIGINT, -2)]:
          r = Relay('--drain-timeout', '60s', upstreams=[upstream()])
          client, far = r.pair()
          r.process.send_signal(number)
          until(lambda: open('/proc/%d/status' % r.process.pid).read().count('SigCgt') == 1, 'alive')
          def ends():
              r.process.send_signal(number)
              try: return r.process.wait(0.05) is not None
              except subprocess.TimeoutExpired: return False
          until(ends, 'the second signal')
          check(r.process.returncode == again, r.process.returncode)
      """)
  }

  @Test func `unix sockets and IPv6`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      up = upstream(family=socket.AF_UNIX, where='up')
      for again in range(2):
          r = Relay(upstreams=['unix:up'], listen='unix:here')
          client = socket.socket(socket.AF_UNIX); client.connect('here')
          far, _ = up.accept()
          client.sendall(b'hello'); client.shutdown(1)
          check(all_of(far) == b'hello'); far.close()
          check(r.ended()['why'] == 'end')
          # Killed, it leaves its file, which is nobody's then.
          check(r.stop(signal.SIGTERM if again else signal.SIGKILL) == (0 if again else -9))
          check(os.path.exists('here') == (again == 0))
      six = socket.socket(socket.AF_INET6); six.bind(('::1', 0)); six.listen(); six.settimeout(20)
      r = Relay(upstreams=['[::1]:%d' % six.getsockname()[1]], listen='[::1]:0')
      client = socket.create_connection(('::1', r.port)); far, _ = six.accept()
      client.sendall(b'six'); check(far.recv(3) == b'six')
      """, in: directory)
  }

  @Test func `clients say in a PROXY header for whom they speak`() throws {
    try passes(
      #"""
      r = Relay('--proxy-in', 'any', '--proxy-out', 'v2', upstreams=[upstream()])
      header = b'PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n'
      client = r.connect()
      # A byte at a time, and the stream right behind it.
      for byte in header[:-1]: client.sendall(bytes([byte]))
      client.sendall(header[-1:] + b'hello')
      far, _ = r.upstreams[0].accept(); far.settimeout(20)
      want = bytes([0x0d,0x0a,0x0d,0x0a,0,0x0d,0x0a,0x51,0x55,0x49,0x54,0x0a,0x21,0x11,0,12,192,0,2,1,192,0,2,2,3,0xe8,7,0xd0]) + b'hello'
      got = b''
      while len(got) < len(want): got += far.recv(100)
      check(got == want, got)
      client.close(); far.close()
      said = r.ended(); check(said['client'] == '192.0.2.1:1000' and said['sent'] == '5', said)
      # What is not a header, one that is too long, one that is cut short: reset, and the upstream never hears of them.
      for words in [b'GET / HTTP/1.1\r\n', b'PROXY ' + b'x' * 300, want[:14] + b'\xff\xff', header[:9]]:
          client = r.connect(); client.sendall(words)
          if words == header[:9]: client.shutdown(1)
          check(is_reset(client), words)
          check('PROXY' in r.ended()['why'])
      # Nor of one that is slow.
      client = r.connect(); begin = time.monotonic(); client.sendall(header[:9])
      check(is_reset(client)); check(4 < time.monotonic() - begin < 10)
      check('timed out' in r.ended()['why'])
      r.upstreams[0].settimeout(0.1)
      try: r.upstreams[0].accept(); check(False, 'the upstream heard')
      except TimeoutError: pass
      check(r.stop() == 0)
      # An upstream that speaks first is told all the same.
      r = Relay('--proxy-out', 'v1', upstreams=[upstream()])
      client, far = r.pair()
      want = 'PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n' % (client.getsockname()[1], r.port)
      check(far.recv(200).decode() == want)
      far.sendall(b'welcome'); check(client.recv(7) == b'welcome')
      """#)
  }

  /// HAProxy in front, and behind.
  @Test func `HAProxy is understood, and understands`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      #"""
      def haproxy(text):
          s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()
          with open('cfg', 'w') as f: f.write('defaults\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n' + text.replace('PORT', str(port)))
          p = subprocess.Popen(['haproxy', '-q', '-f', 'cfg'])
          atexit.register(p.kill)
          def answers():
              try: socket.create_connection(('127.0.0.1', port)).close(); return True
              except OSError: return False
          until(answers, 'haproxy')
          return port
      for version in ['v1', 'v2']:
          # Behind: it says who came.
          port = haproxy("frontend f\n bind 127.0.0.1:PORT accept-proxy\n mode http\n http-request return content-type text/plain lf-string '%[src]:%[src_port]'\n")
          r = Relay('--proxy-out', version, upstreams=['127.0.0.1:%d' % port])
          client = r.connect(); client.sendall(b'GET / HTTP/1.0\r\n\r\n')
          check(all_of(client).decode().endswith('127.0.0.1:%d' % client.getsockname()[1]), version)
          check(r.stop(signal.SIGKILL) == -9)
          # In front: we are told who came.
          up = upstream()
          r = Relay('--proxy-in', version, upstreams=[up])
          send = {'v1': 'send-proxy', 'v2': 'send-proxy-v2'}[version]
          port = haproxy('listen l\n bind 127.0.0.1:PORT\n mode tcp\n server s 127.0.0.1:%d %s\n' % (r.port, send))
          client = socket.create_connection(('127.0.0.1', port)); mine = client.getsockname()
          client.sendall(b'hello')
          while True:
              # The one that saw whether haproxy answers came first.
              far, _ = up.accept(); far.settimeout(20)
              try:
                  if far.recv(5) == b'hello': break
              except ConnectionResetError: pass
              far.close()
          client.close(); far.close()
          while r.ended()['client'] != '127.0.0.1:%d' % mine[1]: pass
          check(r.stop(signal.SIGKILL) == -9)
      """#, in: directory)
  }

  /// They see what goes by, come and go, stall and vanish, and nobody notices.
  @Test func `taps come and go`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      watching = upstream()
      r = Relay('--tap-upstream', 'sent', '--tap-upstream', 'tcp:' + name(watching), '--tap-downstream', 'unix-listen:answers',
                '--tap-upstream', 'missing/directory', '--tap-downstream', 'exec:exit 3', upstreams=[upstream()])
      first, _ = watching.accept(); first.settimeout(20)
      until(lambda: sum('tap begins' in line for line in r.said + list(r.lines.queue) if line) >= 3, 'taps')
      client, far = r.pair()
      client.sendall(b'hello'); check(far.recv(5) == b'hello')
      check(first.recv(5) == b'hello')
      # Answers are watched from now on.
      watcher = socket.socket(socket.AF_UNIX); watcher.settimeout(20)
      watcher.connect('answers')
      until(lambda: any('unix-listen' in line for line in r.said + list(r.lines.queue) if line and 'begins' in line), 'the watcher')
      far.sendall(b'answer'); check(client.recv(6) == b'answer')
      check(watcher.recv(6) == b'answer')
      # One stalls, one vanishes: the stream goes on, whole.
      reset(watcher)
      content = os.urandom(30_000_000)
      sending = in_thread(lambda: client.sendall(content))
      got = bytearray()
      while len(got) < len(content): got += far.recv(1 << 20)
      check(bytes(got) == content); sending()
      # What was not read is missed, and one that has gone comes back.
      reset(first)
      client.sendall(b'x'); check(far.recv(1) == b'x')
      def again():
          client.sendall(b'y'); check(far.recv(1) == b'y')
          watching.settimeout(0.2)
          try: return watching.accept()[0]
          except TimeoutError: return None
      second = None
      def back():
          global second
          second = again(); return second is not None
      until(back, 'it comes back')
      second.settimeout(20)
      client.sendall(b'z'); check(far.recv(1) == b'z')
      client.close(); far.close()
      said = r.ended(); check(said['why'] == 'end', said)
      check(r.stop() == 0)
      check(open('sent', 'rb').read().startswith(b'hello' + content[:65536]))
      """, in: directory)
  }

  @Test func `wrong usage`() throws {
    for words in [
      ["8080"], ["nowhere", "h:1"], ["1", "99"], ["1", "h:1", "--threads", "0"],
      ["1", "h:1", "--proxy-in", "v3"],
      ["1", "h:1", "--tap-upstream", "zero:"], ["1", "h:1", "--tap-downstream", "digest:sha256"],
      ["unix:s", "h:1", "--reuse-port"], ["systemd", "h:1", "--reuse-port"],
    ] {
      let run = try run(try product("splice"), ["relay"] + words)
      #expect(run.status == 64, "\(words): \(run.errors)")
    }
    let taken = try relay(
      """
      s = upstream()
      p = start('relay', name(s), name(s))
      words = p.stderr.read().decode()
      check(p.wait() == 73 and words == 'splice: %s: listen: Address already in use\\n' % name(s), words)
      """)
    #expect(taken.status == 0, "\(taken.errors)")
  }
}
