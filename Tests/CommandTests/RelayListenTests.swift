// `splice relay` and the paths and ports it listens on: what it replaces, what it removes, and a relay that leads to itself.

import TestSupport
import Testing

/// Drains a relay: those in the queue are let go at once, and the one that is served goes on.
private let drain = """
  def drain(r, first, far, queued):
          r.process.send_signal(signal.SIGTERM)
          for s in queued:
              try: check(s.recv(1) == b'')
              except ConnectionResetError: pass
          far.sendall(b'y'); check(first.recv(1) == b'y')
          first.close(); far.close()
          check(r.process.wait(20) == 0)
  """

@Suite(.mayBlock) struct RelayListenTests {
  /// Everything else that stands at a path is a file of somebody else's.
  @Test func `only a socket that nobody listens on is replaced`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      up = upstream()
      def refused(path, *words, status=73):
          p = subprocess.run([splice, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20)
          check(p.returncode == status and b'unix' in p.stderr and b'Address already in use' in p.stderr, path, words, p)
      def bound(path, kind=socket.SOCK_STREAM):
          s = socket.socket(socket.AF_UNIX, kind); s.bind(path); return s
      open('file', 'w').write('precious')
      os.mkfifo('fifo'); os.mkdir('directory')
      bound('dead').close(); os.symlink('dead', 'link'); os.symlink('nowhere', 'dangling')
      live, datagram = bound('live'), bound('datagram', socket.SOCK_DGRAM)
      live.listen()
      things = ['file', 'fifo', 'directory', 'link', 'dangling', 'live', 'datagram']
      for path in things:
          before = os.lstat(path)
          refused(path, 'relay', 'unix:' + path, name(up))
          refused(path, 'relay', '--admin', 'unix:' + path, '127.0.0.1:0', name(up))
          refused(path, 'unix-listen:' + path, 'null:', status=66)
          refused(path, '/dev/null', 'unix-listen:' + path)
          refused(path, 'join', '-', 'unix-listen:' + path, status=66)
          after = os.lstat(path)
          check((before.st_ino, before.st_size) == (after.st_ino, after.st_size), path)
      check(open('file').read() == 'precious')
      s = socket.socket(socket.AF_UNIX); s.connect('live')
      # One that was left behind is replaced, by a relay and for its admin pages.
      for path, more in [('dead', []), ('left', ['--admin', 'unix:left'])]:
          if more: bound('left').close()
          r = Relay(*more, upstreams=[up], listen='127.0.0.1:0' if more else 'unix:dead')
          until(lambda: os.path.exists(path))
          s = socket.socket(socket.AF_UNIX)
          until(lambda: s.connect_ex(path) == 0, path)
          s.close()
          if not more: up.accept()[0].close()
          check(r.stop() == 0 and not os.path.lexists(path), path)
      # A copy replaces nothing.
      bound('dead').close()
      refused('dead', 'unix-listen:dead', 'null:', status=66)
      check(os.path.lexists('dead'))
      """, in: directory)
  }

  /// Each looks, removes and binds; none removes what another one has just made.
  @Test func `of many relays that begin at once, one listens`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      up = upstream()
      for turn in range(6):
          s = socket.socket(socket.AF_UNIX); s.bind('here'); s.close()
          all = [start('relay', 'unix:here', name(up)) for _ in range(6)]
          for p in all: atexit.register(p.kill)
          # Those that are refused end, and the one that is left serves.
          until(lambda: sum(p.poll() is None for p in all) <= 1, 'several listen')
          left = [p for p in all if p.poll() is None]
          check(len(left) == 1, 'nobody listens')
          check([p.returncode for p in all if p not in left] == [73] * 5)
          check(b'listening' in left[0].stderr.readline())
          # Those that were refused have knocked.
          client = socket.socket(socket.AF_UNIX); client.connect('here'); client.sendall(b'x')
          while True:
              far, _ = up.accept()
              if far.recv(1): break
              far.close()
          client.close(); far.close()
          left[0].terminate(); check(left[0].wait(20) == 0 and not os.path.lexists('here'))
      """, in: directory)
  }

  @Test func `only the socket file that a relay made is removed`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      up = upstream()
      def connect(path='here'):
          s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(path); return s
      first = Relay('--drain-timeout', '60s', upstreams=[up], listen='unix:here')
      client = connect(); far, _ = up.accept()
      first.process.send_signal(signal.SIGTERM)
      # Removed before the drain, so that a successor has the path meanwhile.
      until(lambda: not os.path.lexists('here'), 'removed')
      second = Relay(upstreams=[up], listen='unix:here')
      made = os.lstat('here').st_ino
      client.sendall(b'still served'); check(far.recv(20) == b'still served')
      check(first.process.poll() is None)
      client.close(); far.close()
      check(first.process.wait(20) == 0)
      check(os.lstat('here').st_ino == made)
      connect().close(); up.accept()[0].close()
      # Moved away and replaced by somebody else: that one's is left alone.
      os.rename('here', 'moved')
      other = socket.socket(socket.AF_UNIX); other.bind('here')
      check(second.stop() == 0 and os.path.lexists('here'))
      # A copy that listens removes what it has made as well, and nothing else.
      for replaced in [False, True]:
          p = start('unix-listen:there', 'null:'); atexit.register(p.kill)
          def came():
              global client
              try: client = connect('there'); return True
              except OSError: return False
          until(came)
          if replaced:
              os.unlink('there'); other = socket.socket(socket.AF_UNIX); other.bind('there')
          client.close()
          check(p.wait(20) == 0 and os.path.lexists('there') == replaced, replaced)
      """, in: directory)
  }

  @Test func `a port is shared on purpose only`() throws {
    try passes(
      """
      up = upstream()
      for threads in ['1', '3']:
          one = Relay('--threads', threads, upstreams=[up])
          where = '127.0.0.1:%d' % one.port
          for more in [[], ['--reuse-port']]:
              # Also one that would share it does not come in beside one that has a single socket.
              if more and threads == '3': continue
              other = subprocess.run([splice, 'relay', *more, where, name(up)], stderr=subprocess.PIPE, timeout=20)
              check(other.returncode == 73 and b'Address already in use' in other.stderr, other)
          client, far = one.pair(); client.close(); far.close()
          check(one.stop() == 0)
          one = Relay('--threads', threads, '--reuse-port', upstreams=[up])
          two = Relay('--threads', threads, '--reuse-port', upstreams=[up], listen='127.0.0.1:%d' % one.port)
          check(two.port == one.port and one.stop() == 0)
          client, far = two.pair(); client.close(); far.close()
          check(two.stop() == 0)
      """)
  }

  @Test func `a client that is queued for want of room is not held by the drain`() throws {
    try passes(
      """
      \(drain)
      up = upstream()
      for unix in [False, True]:
          path = os.path.abspath('s%d' % unix)
          r = Relay('--max-connections', '1', '--drain-timeout', '15s', upstreams=[up], listen='unix:' + path if unix else '127.0.0.1:0')
          def connect():
              s = socket.socket(socket.AF_UNIX) if unix else socket.socket()
              s.settimeout(10); s.connect(path if unix else ('127.0.0.1', r.port)); return s
          first = connect(); first.sendall(b'x'); far, _ = up.accept(); check(far.recv(1) == b'x')
          queued = [connect() for _ in range(3)]
          drain(r, first, far, queued)
      """, in: try TemporaryDirectory())
  }

  /// Both have bound the port before either listens.
  @Test func `of two relays that begin at once, one has the port`() throws {
    try passes(
      """
      up = upstream()
      s = socket.socket(); s.bind(('127.0.0.1', 0)); port = '%d' % s.getsockname()[1]; s.close()
      slow = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=listen', '-e', 'inject=listen:delay_enter=400000']
      both = [subprocess.Popen([*slow, splice, 'relay', '--threads', '2', port, name(up)], stderr=subprocess.PIPE, start_new_session=True) for _ in range(2)]
      for p in both: atexit.register(lambda p=p: p.poll() is None and os.killpg(p.pid, signal.SIGKILL))
      said = sorted(p.stderr.readline() for p in both)
      check(b'Address already in use' in said[0] and b'listening' in said[1], said)
      """)
  }

  @Test func `a client that is queued for want of descriptors is not held by the drain`() throws {
    try passes(
      """
      \(drain)
      up = upstream()
      r = Relay('--threads', '2', '--max-connections', '1000', '--drain-timeout', '6s', upstreams=[up], listen='unix:here')
      def connect():
          s = socket.socket(socket.AF_UNIX); s.settimeout(3); s.connect('here'); return s
      first = connect(); first.sendall(b'x'); far, _ = up.accept(); check(far.recv(1) == b'x')
      resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (r.descriptors(), r.descriptors()))
      queued = [connect() for _ in range(20)]
      r.line('cannot take clients')
      drain(r, first, far, queued)
      """, in: try TemporaryDirectory())
  }

  @Test func `a second signal ends a relay at once, whichever it is`() throws {
    try passes(
      """
      for one, two in [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM), (signal.SIGQUIT, signal.SIGTERM)]:
          r = Relay('--drain-timeout', '60s', upstreams=[upstream()])
          client, far = r.pair(); client.sendall(b'x'); check(far.recv(1) == b'x')
          r.process.send_signal(one); r.line('draining'); r.process.send_signal(two)
          check(r.process.wait(20) == -two, r.process.returncode)
      """)
  }

  @Test func `a relay is not its own upstream`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()
      def ends(listen, upstream):
          return subprocess.run([splice, 'relay', listen, upstream], stderr=subprocess.PIPE, timeout=20)
      for listen, upstream in [
          ('127.0.0.1:P', '127.0.0.1:P'), ('P', 'localhost:P'), ('0.0.0.0:P', '127.0.0.1:P'), ('0.0.0.0:P', '127.0.0.9:P'),
          ('127.0.0.1:P', '0.0.0.0:P'), ('[::]:P', '127.0.0.1:P'), ('[::]:P', '[::1]:P'), ('[::1]:P', '[::]:P'),
          ('127.0.0.1:P', '[::ffff:127.0.0.1]:P'), ('unix:here', 'unix:./here'), ('unix:@splice-own-P', 'unix:@splice-own-P')]:
          p = ends(listen.replace('P', str(port)), upstream.replace('P', str(port)))
          check(p.returncode == 64 and p.stderr.count(b'\\n') == 1 and b'itself' in p.stderr, listen, upstream, p)
      check(not os.path.lexists('here'))
      # Somebody else's, as near as can be.
      for listen, upstream in [('127.0.0.1:P', '127.0.0.2:P'), ('0.0.0.0:P', '192.0.2.1:P'), ('[::1]:P', '127.0.0.1:P'), ('unix:here', 'unix:there')]:
          r = Relay(upstreams=[upstream.replace('P', str(port))], listen=listen.replace('P', str(port)))
          check(r.stop() == 0)
      """, in: directory)
  }

  @Test func `a ring of relays is bounded`() throws {
    try passes(
      """
      s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()
      most = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
      words = ['--threads', '1', '--drain-timeout', '1s', '--health-interval', '50ms']
      one = Relay(*words, upstreams=['127.0.0.1:%d' % port], preexec_fn=most)
      two = Relay(*words, upstreams=['127.0.0.1:%d' % one.port], listen='127.0.0.1:%d' % port, preexec_fn=most)
      limit = int(re.search(r'connections=(\\d+)', one.line('limit of simultaneous'))[1])
      def goesRound():
          # Until a check has seen that the other one is there, clients are reset.
          s = one.connect()
          try: s.sendall(b'round'); time.sleep(0.05); s.sendall(b'and round')
          except OSError: return None
          return s
      clients = []
      until(lambda: clients.append(goesRound()) or clients[-1], 'a client')
      until(lambda: max(one.descriptors(), two.descriptors()) >= 2 * limit, 'full')
      check(one.descriptors() < 256 and two.descriptors() < 256)
      begin = time.monotonic()
      for r in (one, two): r.process.send_signal(signal.SIGTERM)
      for r in (one, two):
          check(r.process.wait(20) == 0)
          until(lambda: r.lines.queue and r.lines.queue[-1] is None)
          check(not any('cannot take' in line for line in r.said + list(r.lines.queue)[:-1]), 'descriptors ran out')
      check(time.monotonic() - begin < 15, 'the drain')
      """)
  }
}
