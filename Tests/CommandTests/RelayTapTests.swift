// Taps of a relay that are opened anew and ended: no descriptor, no tap and no program is left behind.

import TestSupport
import Testing

/// A program as for `passes`, with `reloadable(...)`, which is `Relay(...)` once SIGHUP is a word to it: before that it ends a relay.
private func reloads(_ program: String) throws {
  let prelude = """
    def reloadable(*words, **more):
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); ready.bind('ready'); ready.settimeout(20)
        r = Relay(*words, env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')}, **more)
        check(b'READY=1' in ready.recv(1000)); return r

    """
  try passes(prelude + program, in: try TemporaryDirectory())
}

@Suite(.mayBlock) struct RelayTapTests {
  /// Nothing goes by that would have the fan-out look for sinks that have left.
  @Test func `a tap that is reopened in silence takes no more descriptors`() throws {
    try reloads(
      """
      up = upstream()
      r = reloadable('--tap-downstream', 'seen', upstreams=[up])
      if not any('tap begins' in line for line in r.said): r.line('tap begins')
      # It has all its descriptors once a byte came through it. The connection stays, and is silent from now on.
      client, far = r.pair()
      def seen():
          far.sendall(b'x'); check(client.recv(1) == b'x')
          return os.path.getsize('seen') > 0
      until(seen, 'the tap gets bytes')
      before = r.descriptors()
      for _ in range(30): r.process.send_signal(signal.SIGHUP); r.line('tap begins')
      until(lambda: r.descriptors() <= before, before, r.descriptors())
      client.close(); far.close(); check(r.stop() == 0)
      """)
  }

  @Test func `no tap ends and no reopening is lost, however fast the signals come`() throws {
    try reloads(
      """
      names = ['tap%d' % n for n in range(12)]
      up = upstream()
      r = reloadable(*[word for name in names for word in ('--tap-upstream', name)], upstreams=[up])
      begun = lambda: sum('tap begins' in line for line in r.said + list(r.lines.queue) if line)
      until(lambda: begun() >= len(names), 'taps')
      end, n = time.monotonic() + 1.5, 0
      while time.monotonic() < end:
          n += 1; pause = time.monotonic() + (n * 37 % 400) / 1e6
          while time.monotonic() < pause: pass
          r.process.send_signal(signal.SIGHUP)
      for name in names: os.rename(name, 'moved ' + name)
      r.process.send_signal(signal.SIGHUP)
      until(lambda: all(map(os.path.exists, names)), 'lost')
      client, far = r.pair()
      def seen():
          client.sendall(b'x'); check(far.recv(1) == b'x')
          return all(os.path.getsize(name) for name in names)
      until(seen, 'each tap gets bytes')
      client.close(); far.close(); check(r.stop() == 0)
      """)
  }

  /// A shell and what it runs are told to end, and killed when they do not. All taps share one time, whatever they do.
  @Test func `no program of a tap outlives the relay`() throws {
    try passes(
      """
      commands = ['echo $$ >%s; %s sleep 66; true' % (n, trap) for n, trap in enumerate(['', 'trap "" TERM;', 'trap "" TERM;'])]
      r = Relay('--drain-timeout', '1s', *[word for c in commands for word in ('--tap-upstream', 'exec:' + c)], upstreams=['127.0.0.1:9'])
      def family():
          shells = [open(str(n)).read().strip() for n in range(3)]
          return shells + [p for s in shells for p in open('/proc/%s/task/%s/children' % (s, s)).read().split()]
      until(lambda: all(os.path.exists(str(n)) and open(str(n)).read().endswith('\\n') for n in range(3)), 'programs')
      until(lambda: len(family()) == 6, 'what they run')
      everybody = family()
      began = time.monotonic()
      check(r.stop() == 0)
      took = time.monotonic() - began
      check(took < 4, took)
      def runs(p):
          try: return open('/proc/%s/stat' % p).read().rsplit(') ')[1][0] not in 'ZX'
          except (FileNotFoundError, ProcessLookupError): return False
      until(lambda: not any(map(runs, everybody)), 'left', everybody)
      """, in: try TemporaryDirectory())
  }

  /// Each time, of itself or not: what it got, what it missed, what was on its way, and what was wrong, if something was.
  @Test func `the log says what a tap that leaves has missed`() throws {
    try reloads(
      """
      os.mkfifo('go')
      up = upstream()
      r = reloadable('--admin', 'unix:admin', '--tap-upstream', 'seen', '--tap-upstream', 'exec:cat go - >/dev/null; exit 3', upstreams=[up])
      def metric(what, tap):
          s = socket.socket(socket.AF_UNIX); s.connect('admin'); s.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n')
          words = 'splice_relay_tap_%s_bytes_total{direction="upstream",tap="%s"} ' % (what, tap)
          return [int(line[len(words):]) for line in all_of(s).decode().split('\\n') if line.startswith(words)][0]
      client, far = r.pair()
      piece, total, deaf = bytes(4_000_000), 0, 'exec:cat go - >/dev/null; exit 3'
      def missed():
          global total
          sending = in_thread(lambda: client.sendall(piece))
          got = 0
          while got < len(piece): got += len(far.recv(1 << 20))
          sending(); total += got
          return metric('skipped', deaf) > 0
      until(missed, 'a tap that does not read misses something')
      until(lambda: metric('delivered', 'seen') + metric('skipped', 'seen') == total, 'seen')
      r.process.send_signal(signal.SIGHUP)
      open('go', 'w').close()
      def left(tap):
          while True:
              line = r.line('tap left')
              if 'tap=' + tap in line: return line, dict(re.findall(r'(delivered|skipped|left)=(\\d+)', line))
      line, fared = left('exec')
      check('warning' in line and 'reason=ended with status 3' in line and int(fared['skipped']) > 0, line)
      check(sum(map(int, fared.values())) == total, line)
      client.sendall(b'x'); check(far.recv(1) == b'x')
      client.close(); far.close(); check(r.stop() == 0)
      until(lambda: r.lines.queue[-1] is None)
      last = [line for line in list(r.lines.queue)[:-1] if 'tap left' in line]
      check(any('tap=seen' in line and 'notice' in line and 'delivered=1' in line and 'skipped=0' in line for line in last), last)
      check(any('tap=exec' in line and 'warning' in line and 'act=run' in line and 'reason=ended by signal 15' in line for line in last), last)
      """)
  }

  /// Nothing goes by that it would be noticed by.
  @Test func `a tap's program that dies is reaped and run anew in silence`() throws {
    try passes(
      """
      r = Relay('--tap-upstream', 'exec:echo $$ >>runs; exec cat >/dev/null', upstreams=[upstream()])
      pids = lambda: [int(word) for word in open('runs').read().split()] if os.path.exists('runs') else []
      until(lambda: len(pids()) == 1)
      os.kill(pids()[0], signal.SIGKILL)
      line = r.line('ended by signal 9')
      check('warning' in line and 'act=run' in line, line)
      until(lambda: len(pids()) == 2)
      check(not os.path.exists('/proc/%d' % pids()[0]), 'reaped')
      check(r.stop() == 0)
      """, in: try TemporaryDirectory())
  }

  @Test func `a tap is reopened while the relay drains`() throws {
    try reloads(
      """
      up = upstream()
      r = reloadable('--tap-upstream', 'seen', upstreams=[up])
      client, far = r.pair(); client.sendall(b'first'); check(far.recv(5) == b'first')
      until(lambda: open('seen').read() == 'first')
      r.process.send_signal(signal.SIGTERM); r.line('draining')
      os.rename('seen', 'moved'); r.process.send_signal(signal.SIGHUP)
      until(lambda: os.path.exists('seen'))
      r.line('tap begins')
      client.sendall(b'second'); check(far.recv(6) == b'second')
      client.close(); far.close(); check(r.process.wait(20) == 0)
      check(open('seen').read() == 'second' and open('moved').read() == 'first')
      """)
  }
}
