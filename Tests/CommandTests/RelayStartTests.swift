// How `splice relay` starts with taps: it listens, then its taps are opened, then it says that it is there; and one that is refused has
// touched none of them.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayStartTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a relay that is refused has touched no tap`() throws {
    try passes(
      """
      up = upstream()
      open('keep', 'w').write('kept'); os.link('keep', 'same')
      s = socket.socket(); s.bind(('127.0.0.1', 0)); own = '127.0.0.1:%d' % s.getsockname()[1]; s.close()
      taps = ['--tap-upstream', 'keep', '--tap-downstream', 'new', '--tap-downstream', 'exec:touch ran; exec sleep 60']
      for words, status in [
          ([name(up), name(up)], 73), ([own, own], 64), (['127.0.0.1:0', 'no name:1'], 73), (['--admin', name(up), '127.0.0.1:0', name(up)], 73),
          (['--tap-upstream', 'tcp:' + own, own, name(up)], 64), (['--tap-upstream', 'tcp:localhost:' + own.split(':')[1], own, name(up)], 64),
          (['--tap-downstream', 'unix:./own', 'unix:own', name(up)], 64),
          (['--tap-downstream', './new', own, name(up)], 73), (['--tap-upstream', 'append:same', own, name(up)], 73)]:
          p = subprocess.run([splice, 'relay', *taps, *words], stderr=subprocess.PIPE, timeout=20)
          check(p.returncode == status and p.stderr.count(b'\\n') == 1 and b'listening' not in p.stderr, words, p)
          check(sorted(os.listdir('.')) == ['keep', 'same'] and open('keep').read() == 'kept', words, os.listdir('.'))
      # Nor those of another one that has its port.
      r = Relay('--tap-upstream', 'seen', upstreams=[up], listen=own)
      client, far = r.pair(); client.sendall(b'first'); check(far.recv(5) == b'first')
      until(lambda: open('seen').read() == 'first')
      p = subprocess.run([splice, 'relay', '--tap-upstream', 'seen', own, name(up)], stderr=subprocess.PIPE, timeout=20)
      check(p.returncode == 73 and open('seen').read() == 'first', p)
      client.close(); far.close(); check(r.stop() == 0)
      """, in: here)
  }

  @Test func `a tap that opens at once has the first byte`() throws {
    try passes(
      """
      up = upstream()
      r = Relay('--tap-upstream', 'seen', '--tap-upstream', 'exec:exec cat >piped', '--tap-downstream', 'missing/directory', upstreams=[up])
      client, far = r.pair(); client.sendall(b'first'); check(far.recv(5) == b'first')
      client.close(); far.close(); check(r.stop() == 0)
      check(open('seen').read() == 'first' and open('piped').read() == 'first')
      """, in: here)
  }

  /// The sockets that a service manager passes on are taken first, which is made to last.
  @Test func `a tap's program has no socket of the relay`() throws {
    try passes(
      """
      up, held = upstream(), socket.create_server(('127.0.0.1', 0))
      pass_on = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=none', '-e', 'inject=getsockopt:delay_enter=100000', 'bash', '-c', 'exec 3<&%d %d<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' % (held.fileno(), held.fileno()), '-']
      r = Relay('--tap-upstream', 'exec:ls -l /proc/self/fd >fds; env >env; touch looked; exec cat >/dev/null', upstreams=[up], listen='systemd', wrap=pass_on, pass_fds=[held.fileno()])
      until(lambda: os.path.exists('looked'))
      check('socket' not in open('fds').read() and 'LISTEN_' not in open('env').read(), open('fds').read())
      """, in: here)
  }

  /// The admin pages are another library's, which opens what programs would inherit.
  @Test func `a tap's program that is run anew holds no visitor of the admin pages`() throws {
    try passes(
      """
      up = upstream()
      with socket.create_server(('127.0.0.1', 0)) as free: port = free.getsockname()[1]
      r = Relay('--admin', '127.0.0.1:%d' % port, '--tap-upstream', 'exec:ls -l /proc/self/fd >fds; mv fds looked; exec cat >/dev/null', '--tap-downstream', 'exec:cat >/dev/null', upstreams=[up])
      until(lambda: os.path.exists('looked'))
      visitor = socket.create_connection(('127.0.0.1', port)); visitor.settimeout(20)
      visitor.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
      check(b'200' in visitor.recv(10000))
      os.unlink('looked'); r.process.send_signal(signal.SIGHUP)
      until(lambda: os.path.exists('looked'))
      check(not any(what in open('looked').read() for what in ['socket', 'eventpoll', 'eventfd']), open('looked').read())
      # Each tap has numbers of its own, though their words are the same.
      visitor.sendall(b'GET /metrics HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')
      page = b''
      while part := visitor.recv(100000): page += part
      lines = [line for line in page.decode().splitlines() if line.startswith('splice_relay_tap_delivered_bytes_total{')]
      check(len(lines) == 2 and all(sum('direction="%s"' % d in line for line in lines) == 1 for d in ['upstream', 'downstream']), lines)
      """, in: here)
  }

  /// One file, by device and inode: two taps would overwrite each other.
  @Test func `no two taps write one file`() throws {
    try passes(
      """
      up = upstream()
      ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); ready.bind('ready'); ready.settimeout(20)
      r = Relay('--tap-upstream', 'one', '--tap-downstream', 'two', upstreams=[up], env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')})
      check(b'READY=1' in ready.recv(1000))
      # Made one while it runs, the later one is told of and waits until they are two again.
      os.unlink('two'); os.link('one', 'two')
      r.process.send_signal(signal.SIGHUP)
      line = r.line('is a sink already')
      check('warning' in line and 'act=open' in line, line)
      os.unlink('one'); os.unlink('two')
      r.process.send_signal(signal.SIGHUP)
      until(lambda: os.path.exists('one') and os.path.exists('two'))
      client, far = r.pair()
      client.sendall(b'sent'); check(far.recv(4) == b'sent'); far.sendall(b'answered'); check(client.recv(8) == b'answered')
      until(lambda: open('one').read() == 'sent' and open('two').read() == 'answered', 'each has its own')
      client.close(); far.close(); check(r.stop() == 0)
      """, in: here)
  }
}
