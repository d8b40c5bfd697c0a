// `splice relay` when descriptors, ports or time run out: what it does to clients, to upstreams, and how it ends.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayLimitTests {
  @Test func `the drain ends in time without descriptors`() throws {
    try passes(
      """
      r = Relay('--threads', '1', '--drain-timeout', '1s', '--max-connections', '1000', upstreams=[upstream()])
      first, far = r.pair()
      clients = [first]
      resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (r.descriptors(), r.descriptors()))
      clients += [r.connect() for _ in range(20)]
      r.line('cannot take clients')
      begin = time.monotonic()
      r.process.send_signal(signal.SIGTERM)
      check(r.process.wait(20) == 0)
      check(time.monotonic() - begin < 15, 'too late', time.monotonic() - begin)
      for c in clients: check(is_reset(c), 'reset')
      """)
  }

  @Test func `what the relay itself lacks is not the upstream's fault`() throws {
    try passes(
      """
      # A client is accepted, and there is no descriptor for its upstream.
      up = upstream()
      r = Relay('--threads', '1', '--max-connections', '1000', '--health-fall', '1', upstreams=[up])
      own = r.sockets()
      client, far = r.pair(); client.close(); far.close(); r.ended()
      until(lambda: r.sockets() == own, 'the line is there before the sockets are closed')
      used = set(int(d) for d in os.listdir('/proc/%d/fd' % r.process.pid))
      second = [n for n in range(1000) if n not in used][1]
      resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (second, 1000))
      for _ in range(5):
          check(is_cut(r.connect))
          said = r.ended()
          check(said['ended'] == 'relay' and said['why'] == 'connect: Too many open files', said)
      resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (1000, 1000))
      client, far = r.pair(); client.close(); far.close(); r.ended()
      check(r.stop() == 0)
      check(not any('is down' in line for line in r.said), r.said)
      # Nor is there one for checks.
      r = Relay('--health-interval', '20ms', '--health-fall', '1', upstreams=[up])
      up.accept()[0].close()
      resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (3, 1000))
      up.settimeout(0.2)
      def silent():
          try: up.accept()[0].close(); return False
          except TimeoutError: return True
      until(silent)
      resource.prlimit(r.process.pid, resource.RLIMIT_NOFILE, (1000, 1000))
      up.settimeout(20); up.accept()[0].close()
      check(r.stop() == 0)
      until(lambda: r.lines.queue[-1] is None)
      check(not any('is down' in line for line in r.said + list(r.lines.queue)[:-1]))
      """)
  }

  /// In a network namespace with two local ports to connect from.
  @Test func `having no port to connect from is not the upstream's fault`() throws {
    try passes(
      """
      inside(sysctl={'net/ipv4/ip_local_port_range': '50000 50001'})
      up = upstream(where=('127.0.0.1', 4000))
      r = Relay('--threads', '1', '--max-connections', '10', upstreams=[up], listen='127.0.0.1:4001')
      def connect(port):
          s = socket.socket(); s.bind(('127.0.0.1', port)); s.settimeout(20); s.connect(('127.0.0.1', 4001)); return s
      held = []
      for port in range(3000, 3002):
          held.append((connect(port), up.accept()[0])); held[-1][0].sendall(b'x'); check(held[-1][1].recv(1) == b'x')
      check(is_cut(lambda: connect(3002)))
      said = r.ended()
      check(said['ended'] == 'relay' and said['why'] == 'connect: Cannot assign requested address', said)
      check(not any('is down' in line for line in r.said + list(r.lines.queue)))
      check(r.stop(signal.SIGKILL) == -9)
      """)
  }

  @Test func `the connection limit follows from the descriptors`() throws {
    try passes(
      """
      def limit(*words, soft=None, upstreams=None, **more):
          r = Relay('--threads', '2', *words, upstreams=upstreams or [upstream()], preexec_fn=soft and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, 4096))), **more)
          line = r.line('limit of simultaneous')
          check(r.stop() == 0)
          return int(re.search(r'connections=(\\d+)', line)[1]), line
      small, line = limit(soft=256)
      large, _ = limit(soft=4096)
      check('descriptors=256' in line and 10 < small < 128, line)
      check(small * 10 < large < 2048, small, large)
      check(limit('--max-connections', '7', soft=256)[0] == 7)
      # More than there are descriptors for is said.
      check('warning' in limit('--max-connections', '200', soft=256)[1])
      check(limit(soft=48)[0] >= 1)
      # Too few for the threads themselves: it says so, and is not there.
      ended = subprocess.run([splice, 'relay', '--threads', '8', '127.0.0.1:0', name(upstream())], stderr=subprocess.PIPE, timeout=20,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)))
      check(ended.returncode == 73 and (b'too few for 8 threads' in ended.stderr or b'Too many open files' in ended.stderr), ended)
      # As many clients as that are served, each with bytes in flight, and one more waits.
      up = upstream(backlog=1000)
      r = Relay('--threads', '2', upstreams=[up], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
      pairs = [r.pair() for _ in range(small)]
      for client, far in pairs:
          client.setblocking(False)
          try:
              while True: client.send(bytes(1 << 16))
          except BlockingIOError: client.setblocking(True)
      one_more = r.connect()
      up.settimeout(0.3)
      try: up.accept(); check(False, 'one more was served')
      except TimeoutError: up.settimeout(20)
      reset(pairs[0][0]); pairs[0][1].close()
      up.accept()
      check(not any('cannot take' in line for line in r.said + list(r.lines.queue)))
      check(r.stop(signal.SIGKILL) == -9)
      """)
  }

  /// With what is asked for beside connections: taps, a program among them, the admin pages, checks.
  @Test func `with too few descriptors a relay does not begin, and with enough it serves`() throws {
    try passes(
      """
      up = upstream()
      ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); ready.bind('ready'); ready.setblocking(False)
      taps = ['--tap-upstream', 'exec:exec cat >/dev/null', '--tap-downstream', 'a', '--tap-downstream', 'b']
      looked_at = ['--admin', 'unix:admin', '--health-interval', '1s']
      def serves(words, most):
          p = subprocess.Popen([splice, 'relay', '--threads', '2', *words, 'unix:here', name(up)], stderr=subprocess.PIPE, env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')},
              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
          atexit.register(p.kill)
          said = b''
          while b': listening' not in said:
              line = p.stderr.readline(); said += line
              if line: continue
              check(p.wait(20) == 73 and (b'too few' in said or b'Too many open files' in said), words, most, p.returncode, said)
              try: ready.recv(100); check(False, 'it was said to be ready', words, most)
              except BlockingIOError: return False
          s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect('here'); s.sendall(b'x')
          while True:
              # Checks are connections that end at once.
              far, _ = up.accept()
              if far.recv(1): break
              far.close()
          far.sendall(b'y'); check(s.recv(1) == b'y', words, most); s.close(); far.close()
          if '--admin' in words:
              s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect('admin'); s.sendall(b'GET /healthz HTTP/1.0\\r\\n\\r\\n')
              check(b'200 OK' in all_of(s), words, most)
          p.send_signal(signal.SIGTERM); rest = p.stderr.read()
          check(p.wait(20) == 0 and b'Too many' not in rest, words, most, p.returncode, rest)
          while b'STOPPING' not in ready.recv(100): pass
          return True
      for words in [taps, looked_at]:
          # The least with which it begins, and what is around it.
          low, high = 24, 128
          check(serves(words, high), words)
          while high - low > 1:
              middle = (low + high) // 2
              if serves(words, middle): high = middle
              else: low = middle
          for most in range(high - 3, high + 3): check(serves(words, most) == (most >= high), words, most, high)
      """, in: try TemporaryDirectory())
  }

  /// In a network namespace that has one local port to connect from: a connection to that port, where nobody listens, meets itself.
  @Test func `a connection that meets itself is refused`() throws {
    let directory = try TemporaryDirectory()
    try passes(
      """
      inside(sysctl={'net/ipv4/ip_local_port_range': '50000 50000'})
      s = socket.socket(); s.connect(('127.0.0.1', 50000)); check(s.getsockname() == s.getpeername(), 'this kernel makes none')
      reset(s)
      r = Relay('--threads', '1', '--health-interval', '50ms', upstreams=['127.0.0.1:50000'], listen='unix:here')
      check('Connection refused' in r.line('upstream is down'))
      check(r.stop() == 0)
      r = Relay('--threads', '1', upstreams=['127.0.0.1:50000'], listen='unix:here')
      client = socket.socket(socket.AF_UNIX); client.settimeout(20); client.connect('here')
      check(client.recv(1) == b'')
      said = r.ended(); check(said['why'] == 'connect: Connection refused', said)
      check(r.stop() == 0)
      p = subprocess.run([splice, 'tcp:127.0.0.1:50000', 'null:'], stderr=subprocess.PIPE, timeout=20)
      check(p.returncode == 66 and b'Connection refused' in p.stderr, p)
      """, in: directory)
  }
}
