// The relay as those see it who run it: health, metrics, the admin pages, the service manager, restarts.

import TestSupport
import Testing

/// A program as for `passes`, with `ask(path)` for the admin pages of a relay that was started with `*admin`.
func operates(_ program: String, in directory: TemporaryDirectory? = nil) throws {
  let prelude = #"""
    import http.client, json
    admin = ('--admin', '127.0.0.1:0')
    def admin_port(r):
        return int(r.line(': admin').split(': admin')[0].rsplit(':', 1)[1])
    def ask(port, path, method='GET'):
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
        c.request(method, path); a = c.getresponse(); body = a.read().decode(); c.close()
        return a.status, body
    def metric(port, name):
        # The one of that name, with labels in the order they are written in.
        for line in ask(port, '/metrics')[1].split('\n'):
            if line.startswith(name + ' '): return float(line.split(' ')[1])

    """#
  try passes(prelude + program, in: directory)
}

@Suite(.mayBlock) struct OperationsTests {
  @Test func `upstreams that are down are not tried, and come back`() throws {
    try operates(
      #"""
      up, other = upstream(), upstream()
      r = Relay(*admin, '--health-interval', '50ms', '--half-close-timeout', '100ms', '--health-rise', '2', '--health-fall', '2', '--threads', '1', upstreams=[up, other])
      port = admin_port(r)
      until(lambda: ask(port, '/readyz') == (200, 'ready\n'))
      # Checks are connections that end at once.
      c, _ = up.accept(); check(c.recv(1) == b'')
      where = other.getsockname(); other.close()
      r.line('upstream is down')
      check(metric(port, 'splice_relay_upstream_up{upstream="%s:%d"}' % where) == 0)
      for _ in range(4):
          client = r.connect(); client.sendall(b'a')
          while True:
              far, _ = up.accept()
              if far.recv(1): break
          far.close(); client.close()
      check(metric(port, 'splice_relay_connections_total{upstream="%s"}' % name(up)) == 4)
      check(metric(port, 'splice_relay_connect_errors_total{upstream="%s:%d"}' % where) == 0)
      # All down is a state of its own: whoever comes is reset at once, and the probes are told.
      place = up.getsockname(); up.close()
      r.line('upstream is down')
      check(ask(port, '/readyz') == (503, 'no upstream is up\n'), ask(port, '/readyz'))
      check(ask(port, '/healthz') == (200, 'ok\n'))
      check(is_cut(r.connect))
      while r.ended()['why'] != 'no upstream is up': pass
      check(metric(port, 'splice_relay_refused_total{reason="none_up"}') == 1)
      back = socket.create_server(place)
      r.line('upstream is up')
      until(lambda: ask(port, '/readyz')[0] == 200)
      client = r.connect(); client.sendall(b'again'); back.settimeout(20)
      while True:
          far, _ = back.accept()
          if far.recv(5) == b'again': break
      client.close(); far.close()
      check(r.stop() == 0)
      """#)
  }

  @Test func `without health checks, an upstream that did not answer comes last`() throws {
    try operates(
      #"""
      up = upstream()
      gone = upstream(); where = name(gone); gone.close()
      r = Relay(*admin, '--threads', '1', upstreams=[where, up])
      port = admin_port(r)
      for _ in range(6):
          client = r.connect(); far, _ = up.accept(); far.close(); client.close(); r.ended()
      # It was tried once, and found to be away.
      check(metric(port, 'splice_relay_connect_errors_total{upstream="%s"}' % where) == 1)
      check(metric(port, 'splice_relay_upstream_up{upstream="%s"}' % where) == 0)
      check(ask(port, '/readyz')[0] == 200)
      check(r.stop() == 0)
      """#)
  }

  @Test func `an upstream that accepts and hangs passes a connection check`() throws {
    try operates(
      #"""
      mute = upstream(backlog=1000)
      r = Relay(*admin, '--health-interval', '20ms', '--connect-timeout', '200ms', upstreams=[mute])
      port = admin_port(r)
      until(lambda: (metric(port, 'splice_relay_checks_total{outcome="passed",upstream="%s"}' % name(mute)) or 0) > 5)
      check(ask(port, '/readyz')[0] == 200)
      # A full backlog answers nothing: that is down, and over when somebody takes them.
      full = upstream(backlog=0)
      held = [socket.socket() for _ in range(4)]
      for s in held: s.setblocking(False); s.connect_ex(full.getsockname())
      r.stop()
      r = Relay(*admin, '--health-interval', '50ms', '--connect-timeout', '100ms', upstreams=[full])
      port = admin_port(r)
      check('timed out' in r.line('upstream is down'))
      for s in held: s.close()
      def take():
          while True: full.accept()[0].close()
      threading.Thread(target=take, daemon=True).start()
      r.line('upstream is up')
      check(r.stop() == 0)
      """#)
  }

  @Test func `a name that is not known any more is tried where it was`() throws {
    // The names are of a namespace of mounts of its own.
    let place = try TemporaryDirectory()
    try place.write("hosts", Array("127.0.0.1 here.example\n".utf8))
    try operates(
      #"""
      if 'inside' not in os.environ:
          sys.exit(subprocess.call(['unshare', '-rm', sys.executable, *sys.orig_argv[1:]], env={**os.environ, 'inside': '1'}))
      subprocess.run(['mount', '--bind', 'hosts', '/etc/hosts'], check=True)
      first = upstream()
      where = first.getsockname()[1]
      second = upstream(where=('127.0.0.2', where))
      r = Relay('--health-interval', '50ms', '--half-close-timeout', '100ms', upstreams=['here.example:%d' % where])
      def goes_to(s):
          client = r.connect(); client.sendall(b'x')
          try:
              while s.accept()[0].recv(1) != b'x': pass
          finally: client.close()
      goes_to(first)
      open('hosts', 'w').write('127.0.0.1 localhost\n')
      r.line('name is not known any more')
      goes_to(first)
      open('hosts', 'w').write('127.0.0.2 here.example\n')
      while True:  # until the name was looked up again
          client = r.connect(); client.sendall(b'y'); second.settimeout(0.2)
          try: found = second.accept()[0].recv(1)
          except TimeoutError: found = b''
          client.close()
          if found: break
      check(r.stop() == 0)
      """#, in: place)
  }

  @Test func `metrics are read by a parser of Prometheus, and are exact`() throws {
    try operates(
      #"""
      sys.path.append('/usr/lib/python3/dist-packages')  # the distribution's, whichever python this is
      from prometheus_client.parser import text_string_to_metric_families
      up = upstream()
      r = Relay(*admin, '--log-level', 'warning', '--pipe-budget', '8M', '--threads', '1', upstreams=[up])
      port = admin_port(r)
      def families(): return {f.name: f for f in text_string_to_metric_families(ask(port, '/metrics')[1])}
      def value(name, **labels):
          return sum(s.value for f in families().values() for s in f.samples if s.name == name and labels.items() <= s.labels.items())
      client, far = r.pair()
      content = os.urandom(5_000_000)
      sent = in_thread(lambda: (client.sendall(content), client.sendall(b'!' * 100)))
      got = b''
      while len(got) < 5_000_100: got += far.recv(1 << 20)
      far.sendall(b'answer'); check(client.recv(100) == b'answer')
      # While the connection is open, to the byte.
      until(lambda: value('splice_relay_bytes_total', direction='received') == 6)
      until(lambda: value('splice_relay_bytes_total', direction='sent') == 5_000_100)
      check(value('splice_relay_bytes_total', path='splice') > 4_000_000, value('splice_relay_bytes_total', path='splice'))
      check(value('splice_relay_clients') == 1 and value('splice_relay_upstream_connections') == 1)
      check(value('splice_relay_pipe_budget_bytes') == 8 << 20 and value('splice_relay_draining') == 0)
      reset(client); check(is_reset(far))
      until(lambda: value('splice_relay_clients') == 0)
      check(value('splice_relay_resets_total', by='client') == 1 and value('splice_relay_resets_total', by='upstream') == 0)
      check(value('splice_relay_connections_total') == 1 and value('splice_relay_accepted_total') == 1)
      check(value('splice_relay_connect_seconds_count') == 1 and 0 < value('splice_relay_connect_seconds_sum') < 20)
      # A counter's name is without its `_total` for some: two metrics must not become one.
      check(len(families()) == ask(port, '/metrics')[1].count('# TYPE'))
      for name, family in families().items():
          check(family.documentation, 'nothing is said of', name)
          check(family.type in ('counter', 'gauge', 'histogram'), name, family.type)
      check(r.stop() == 0)
      """#)
  }

  @Test func `timeouts are counted by their kind`() throws {
    try operates(
      #"""
      up = upstream()
      r = Relay(*admin, '--idle-timeout', '1s', '--half-close-timeout', '50ms', '--proxy-in', 'v1', '--drain-timeout', '100ms', upstreams=[up])
      port = admin_port(r)
      def kind(name): return metric(port, 'splice_relay_timeouts_total{kind="%s"}' % name)
      def begin():
          c = r.connect(); c.sendall(b'PROXY UNKNOWN\r\n'); far, _ = up.accept(); return c, far
      held = begin(); check(r.ended()['why'] == 'idle timeout')
      until(lambda: kind('idle') == 1)
      c, far = begin(); c.shutdown(socket.SHUT_WR); check(r.ended()['why'] == 'half-close timeout')
      until(lambda: kind('half_close') == 1)
      c = r.connect(); c.sendall(b'GET / HTTP/1.1\r\n\r\n'); r.ended()
      until(lambda: metric(port, 'splice_relay_refused_total{reason="header"}') == 1)
      c = r.connect(); check('PROXY header' in r.ended()['why'])
      until(lambda: kind('header') == 1)
      check(kind('drain') == 0 and kind('connect') == 0)
      check(r.stop() == 0)
      """#)
  }

  @Test func `the admin pages answer as HTTP servers do`() throws {
    try operates(
      #"""
      up = upstream()
      r = Relay(*admin, upstreams=[up])
      port = admin_port(r)
      check(ask(port, '/healthz') == (200, 'ok\n') and ask(port, '/readyz?verbose') == (200, 'ready\n'))
      check(ask(port, '/nothing')[0] == 404 and ask(port, '/metrics/')[0] == 404)
      for method in ['POST', 'PUT', 'DELETE', 'OPTIONS']: check(ask(port, '/metrics', method)[0] == 405, method)
      check(ask(port, '/', 'HEAD') == (200, ''))
      status, page = ask(port, '/')
      check(status == 200 and 'splice relay' in page and name(up) in page and '<noscript>' in page)
      check('http://' not in page and 'https://' not in page and 'src=' not in page, 'something is from elsewhere')
      def raw(words):
          s = socket.create_connection(('127.0.0.1', port)); s.settimeout(20); s.sendall(words)
          try: return all_of(s)
          except ConnectionResetError: return b''
      # Two of one connection, one after the other; the older version ends it.
      two = raw(b'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n')
      check(two.count(b'HTTP/1.1 200') == 2 and two.endswith(b'ready\n'), two)
      check(b' 413 ' in raw(b'POST /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000000\r\n\r\n' + b'x' * 1000))
      check(b' 413 ' in raw(b'GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'))
      for wrong in [b'\x16\x03\x01\x02\x00\x01\x00', b'GET\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n', b'GET /' + b'a' * 200_000 + b' HTTP/1.1\r\n\r\n',
                    b'GET / HTTP/1.1\r\n' + b'x: y\r\n' * 100_000 + b'\r\n']:
          answer = raw(wrong)
          check(not answer or b' 400 ' in answer or b' 431 ' in answer, answer[:100])
      check(ask(port, '/healthz')[0] == 200)
      check(r.stop() == 0)
      """#)
  }

  @Test func `hostile visitors of the admin pages harm nothing`() throws {
    try operates(
      #"""
      up = upstream()
      r = Relay(*admin, upstreams=[up])
      port = admin_port(r)
      client, far = r.pair()
      resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
      visitors = []
      for n in range(1000):
          s = socket.create_connection(('127.0.0.1', port)); visitors.append(s)
          if n % 2: s.sendall(b'GET / HTTP/1.1\r\nx-slow: ')
      # Somebody who asks and asks, and never reads.
      greedy = socket.create_connection(('127.0.0.1', port)); greedy.setblocking(False)
      def push():
          try: greedy.send(b'GET / HTTP/1.1\r\nhost: a\r\n\r\n' * 100)
          except BlockingIOError: return False
          except OSError: return True
      until(push)
      check(ask(port, '/readyz') == (200, 'ready\n'))
      until(lambda: r.descriptors() < 150, 'descriptors')
      client.sendall(b'through'); check(far.recv(10) == b'through')
      rss = int([l for l in open('/proc/%d/status' % r.process.pid) if l.startswith('VmRSS')][0].split()[1])
      check(rss < 400_000, rss)  # KiB, and room for the red zones of a sanitizer
      far.close(); client.close()
      check(r.stop() == 0)
      """#)
  }

  @Test func `an admin port that is taken ends it at once`() throws {
    let place = try TemporaryDirectory()
    let run = try python(
      """
      s, name = listen()
      p = subprocess.run([splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', name[4:]], stderr=subprocess.PIPE, timeout=20)
      check(p.returncode == 73, p); check(name[4:].encode() + b': listen: Address already in use' in p.stderr, p.stderr)
      # Another relay's is taken too, although they may share the port for clients; a file that a killed one left is not.
      first = subprocess.Popen([splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'unix:admin'], stderr=subprocess.PIPE)
      while b': admin' not in first.stderr.readline(): pass
      p = subprocess.run([splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'unix:admin'], stderr=subprocess.PIPE, timeout=20)
      check(p.returncode == 73, p)
      first.kill(); first.wait()
      next = subprocess.Popen([splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'unix:admin'], stderr=subprocess.PIPE)
      while b': admin' not in next.stderr.readline(): pass
      next.terminate(); check(next.wait(20) == 0 and not os.path.exists('admin'))
      p = subprocess.run([splice, 'relay', '127.0.0.1:0', '127.0.0.1:1', '--admin', 'systemd'], stderr=subprocess.PIPE, timeout=20)
      check(p.returncode == 64, p)
      """, in: place)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a drain is told to probes and in the log`() throws {
    try operates(
      #"""
      up = upstream()
      r = Relay(*admin, '--drain-timeout', '60s', '--log-format', 'json', upstreams=[up], says='listening')
      port = admin_port(r)
      client, far = r.pair()
      r.process.send_signal(signal.SIGTERM)
      said = json.loads(r.line('draining'))
      check(said['connections'] == '1' and said['level'] == 'notice' and re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', said['time']), said)
      check(ask(port, '/readyz') == (503, 'draining\n') and ask(port, '/healthz')[0] == 200)
      check(metric(port, 'splice_relay_draining') == 1)
      check('draining' in ask(port, '/')[1])
      # Progress, every few seconds.
      check(json.loads(r.line('draining'))['connections'] == '1')
      client.sendall(b'still'); check(far.recv(10) == b'still')
      client.close(); check(far.recv(1) == b''); far.close()
      said = json.loads(r.line('"connection"'))
      check(said['sent'] == '5' and said['ended'] == 'client' and said['logger'] == 'splice.relay', said)
      check(json.loads(r.line('"total"'))['connections'] == '1')
      check(r.process.wait(20) == 0)
      """#)
  }

  @Test func `the service manager is told`() throws {
    let place = try TemporaryDirectory()
    try operates(
      #"""
      for address in ['notify', '\0splice-test-%d' % os.getpid()]:
          told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); told.bind(address); told.settimeout(20)
          r = Relay(upstreams=[upstream()], env={**os.environ, 'NOTIFY_SOCKET': address.replace('\0', '@')})
          check(told.recv(1000) == b'READY=1')
          check(r.stop() == 0 and told.recv(1000) == b'STOPPING=1')
      # Nobody there: nothing happens.
      r = Relay(upstreams=[upstream()], env={**os.environ, 'NOTIFY_SOCKET': 'nobody'})
      check(r.stop() == 0)
      """#, in: place)
  }

  @Test func `sockets of the service manager are used`() throws {
    let place = try TemporaryDirectory()
    try operates(
      #"""
      up = upstream()
      # A port that was free may be somebody else's by now.
      for _ in range(10):
          free = socket.create_server(('127.0.0.1', 0)); port = free.getsockname()[1]; free.close()
          p = subprocess.Popen(['systemd-socket-activate', '-l', '127.0.0.1:%d' % port, '-l', os.path.abspath('sock'), splice, 'relay', 'systemd', name(up)], stderr=subprocess.PIPE)
          until(lambda: os.path.exists('sock') or p.poll() is not None)
          if p.poll() is None: break
      def through(s):
          s.settimeout(20); s.sendall(b'hello'); far, _ = up.accept(); check(far.recv(10) == b'hello'); s.close(); check(far.recv(1) == b'')
      through(socket.create_connection(('127.0.0.1', port)))
      s = socket.socket(socket.AF_UNIX); s.connect('sock'); through(s)
      p.send_signal(signal.SIGTERM); said = p.communicate(timeout=20)[1]
      check(p.returncode == 0 and b'%d: listening' % port in said and b'unix:' in said, p.returncode, said)
      # None were passed, or to somebody else, or what is none.
      for words, status in [([], 73), (['env', 'LISTEN_PID=1', 'LISTEN_FDS=1'], 73), (['bash', '-c', 'LISTEN_PID=$$ LISTEN_FDS=2147483647 exec "$@"', '-'], 73), (['bash', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null', '-'], 73)]:
          p = subprocess.run([*words, splice, 'relay', 'systemd', name(up)], stderr=subprocess.PIPE, timeout=20)
          check(p.returncode == status and b'systemd: listen: ' in p.stderr, words, p)
      """#, in: place)
  }

  @Test func `a restart refuses nobody and cuts nobody off`() throws {
    try operates(
      #"""
      # Stands in for the service manager, which holds the socket while one relay takes over from the other.
      up = upstream(backlog=1000)
      def serve():
          while True:
              try: far, _ = up.accept()
              except OSError: return
              def one(far):
                  far.settimeout(80)
                  while data := far.recv(1 << 16): far.sendall(data)
                  far.close()
              threading.Thread(target=one, args=[far], daemon=True).start()
      threading.Thread(target=serve, daemon=True).start()
      held = socket.create_server(('127.0.0.1', 0), backlog=4000)
      def begin():
          words = ['bash', '-c', 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % held.fileno(), '-', splice, 'relay', 'systemd', name(up), '--log-level', 'warning']
          p = subprocess.Popen(words, stderr=subprocess.PIPE, pass_fds=[held.fileno()])
          check(b'listening' in p.stderr.readline()); atexit.register(p.kill); return p
      running = begin()
      long = socket.create_connection(held.getsockname()); long.settimeout(80)
      long.sendall(b'begun'); check(long.recv(10) == b'begun')
      counts, wrong, over = [0] * 4, [], threading.Event()
      def load(n):
          while not over.is_set():
              try:
                  s = socket.create_connection(held.getsockname()); s.settimeout(20)
                  s.sendall(b'request'); answer = b''
                  while len(answer) < 7:
                      piece = s.recv(7 - len(answer))
                      if not piece: raise OSError('cut')
                      answer += piece
                  s.close(); counts[n] += 1
              except OSError as error: wrong.append(repr(error)); return
      loads = [threading.Thread(target=load, args=[n], daemon=True) for n in range(4)]
      for l in loads: l.start()
      old = []
      for _ in range(4):
          before = sum(counts); until(lambda: sum(counts) > before + 40 or wrong)
          next = begin()
          running.send_signal(signal.SIGTERM); old.append(running); running = next
      before = sum(counts); until(lambda: sum(counts) > before + 40 or wrong)
      over.set()
      for l in loads: l.join(20)
      check(not wrong, wrong)
      # The first one waits for whoever it has begun to serve.
      check(old[0].poll() is None)
      long.sendall(b'ended'); check(long.recv(10) == b'ended'); long.close()
      running.send_signal(signal.SIGTERM)
      for p in [*old, running]: check(p.wait(30) == 0)
      """#)
  }

  @Test func `a file of a tap that was moved away is followed by another`() throws {
    let place = try TemporaryDirectory()
    try operates(
      #"""
      up = upstream()
      r = Relay('--tap-upstream', 'seen', upstreams=[up])
      if not any('tap begins' in line for line in r.said): r.line('tap begins')
      client, far = r.pair()
      client.sendall(b'first'); check(far.recv(10) == b'first')
      until(lambda: open('seen').read() == 'first')
      os.rename('seen', 'moved'); r.process.send_signal(signal.SIGHUP)
      r.line('tap begins')
      client.sendall(b'second'); check(far.recv(10) == b'second')
      until(lambda: open('seen').read() == 'second')
      # One that was not moved away is not emptied.
      r.process.send_signal(signal.SIGHUP); r.line('tap begins')
      client.sendall(b'third'); check(far.recv(10) == b'third')
      until(lambda: open('seen').read() == 'secondthird')
      check(open('moved').read() == 'first')
      client.close(); far.close(); check(r.stop() == 0)
      """#, in: place)
  }

  /// The clock of the day is as many days off as a file says.
  private let jump = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    #include <time.h>

    int clock_gettime(clockid_t clock, struct timespec *time) {
      int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
      int result = real(clock, time);
      FILE *file = clock == CLOCK_REALTIME ? fopen("jump", "r") : NULL;
      long days = 0;
      if (file) {
        if (fscanf(file, "%ld", &days) == 1) time->tv_sec += days * 86400;
        fclose(file);
      }
      return result;
    }
    """

  @Test func `clocks that jump end no connection`() throws {
    let place = try TemporaryDirectory()
    try place.write("jump.c", Array(jump.utf8))
    try operates(
      #"""
      subprocess.run(['clang', '-shared', '-fPIC', '-o', 'jump.so', 'jump.c'], check=True)
      open('jump', 'w').write('0')
      up = upstream()
      r = Relay(*admin, '--idle-timeout', '600s', '--health-interval', '50ms', '--log-format', 'json', upstreams=[up],
          env={**os.environ, 'LD_PRELOAD': os.path.abspath('jump.so')})
      port = admin_port(r)
      def pair():
          c = r.connect(); c.sendall(b'.')
          while True:
              far, _ = up.accept(); far.settimeout(20)
              if far.recv(1): return c, far
      def checks(): return metric(port, 'splice_relay_checks_total{outcome="passed",upstream="%s"}' % name(up))
      client, far = pair()
      for jump in ['400', '-400']:
          open('new', 'w').write(jump); os.rename('new', 'jump')
          was = checks(); until(lambda: checks() > was + 3, 'checks')
          client.sendall(jump.encode()); check(far.recv(10) == jump.encode())
          c, f = pair(); c.close(); f.close()
          said = json.loads(r.line('"connection"'))
          check(abs(int(said['time'][:4]) - time.gmtime().tm_year) in (1, 2), 'the clock has not jumped', said)
          check(float(said['seconds']) < 60, said)
      client.close(); far.close()
      check(r.stop() == 0)
      """#, in: place)
  }
}
