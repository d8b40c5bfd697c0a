// `splice relay` and what can go wrong: peers, upstreams, the kernel.

import TestSupport
import Testing

@Suite struct RelayFaultTests {
  @Test func `a reset is a reset`() throws {
    try passes(
      """
      r = Relay(upstreams=[upstream()])
      for talked in [False, True]:
          client, far = r.pair()
          if talked:
              client.sendall(b'hello'); check(far.recv(5) == b'hello')
          reset(client)
          check(is_reset(far), 'the upstream sees it', talked)
          said = r.ended(); check(said['ended'] == 'client' and 'reset' in said['why'], said)
          client, far = r.pair()
          if talked:
              far.sendall(b'hello'); check(client.recv(5) == b'hello')
          reset(far)
          check(is_reset(client), 'the client sees it', talked)
          said = r.ended(); check(said['ended'] == 'upstream' and 'reset' in said['why'], said)
      # With bytes on their way that nobody takes.
      client, far = r.pair()
      client.setblocking(False)
      try:
          while True: client.send(bytes(1 << 20))
      except BlockingIOError: pass
      reset(far)
      client.settimeout(20)
      check(is_reset(client), 'full')
      check(r.stop() == 0)
      """)
  }

  @Test func `descriptors may run out`() throws {
    try passes(
      """
      r = Relay('--threads', '1', '--max-connections', '1000', upstreams=[upstream(400)], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
      clients = [r.connect() for _ in range(60)]
      r.line('cannot take clients')
      before, at = r.seconds(), time.monotonic()
      time.sleep(1)
      check(r.seconds() - before < 0.2, 'it spins', r.seconds() - before)
      for c in clients: c.close()
      # It serves again.
      def served():
          try:
              client = r.connect(); client.sendall(b'here')
              r.upstreams[0].settimeout(1)
              while True:
                  far, _ = r.upstreams[0].accept(); far.settimeout(1)
                  if far.recv(4) == b'here': return True
          except OSError: return False
      until(served)
      check(r.stop(signal.SIGKILL) == -9)
      """)
  }

  @Test func `urgent data and a stopped process do no harm`() throws {
    try passes(
      """
      r = Relay(upstreams=[upstream()])
      client, far = r.pair()
      client.sendall(b'before'); client.send(b'!', socket.MSG_OOB); client.sendall(b'after'); client.shutdown(1)
      check(all_of(far).replace(b'!', b'') == b'beforeafter')
      far.close(); client.close()
      client, far = r.pair()
      client.sendall(b'x'); check(far.recv(1) == b'x')
      client.send(b'!', socket.MSG_OOB)
      before = r.seconds(); time.sleep(0.5)
      check(r.seconds() - before < 0.1, 'it spins')
      far.sendall(b'y'); check(client.recv(1) == b'y')
      r.process.send_signal(signal.SIGSTOP)
      client.sendall(b'while it is stopped')
      r.process.send_signal(signal.SIGCONT)
      got = b''
      while not got.endswith(b'while it is stopped'): got += far.recv(100)
      check(r.stop(signal.SIGKILL) == -9)
      """)
  }

  @Test func `an idle relay uses no processor time`() throws {
    try passes(
      """
      r = Relay(upstreams=[upstream()])
      pairs = [r.pair() for _ in range(50)]
      for client, far in pairs: client.sendall(b'x'); check(far.recv(1) == b'x')
      # One side stuck, the other talking.
      client, far = r.pair()
      client.setblocking(False)
      def fill():
          try:
              while True: client.send(bytes(1 << 20))
          except BlockingIOError: return
      fill(); time.sleep(0.3); fill()
      before = r.seconds()
      for _ in range(20):
          far.sendall(b'still here'); time.sleep(0.05)
      check(r.seconds() - before < 0.1, 'it spins')
      client.setblocking(True); check(client.recv(200, socket.MSG_WAITALL) == b'still here' * 20)
      held = r.descriptors()
      for c, f in pairs + [(client, far)]: c.close(); f.close()
      for _ in range(51): r.ended()
      until(lambda: r.descriptors() <= held - 102, 'descriptors', held, r.descriptors())
      check(r.stop() == 0)
      """)
  }

  @Test(arguments: [
    "splice:error=EINVAL:when=1+", "splice:error=EPERM:when=1+", "splice:error=EINTR:when=1+3",
    "accept4:error=ECONNABORTED:when=1", "accept4:error=EMFILE:when=1..3", "accept4:error=ENOBUFS:when=2",
    "epoll_wait:error=EINTR:when=1+3", "connect:error=EINTR:when=1+2",
  ])
  func `errors of the kernel lose no bytes`(_ injection: String) throws {
    try passes(
      """
      r = Relay('--threads', '1', upstreams=[upstream()], wrap=['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=none', '-e', 'inject=\(injection)'])
      content = os.urandom(3_000_000)
      for _ in range(4):
          client, far = r.pair()
          sending = in_thread(lambda: (client.sendall(content), client.shutdown(1)))
          check(all_of(far) == content); sending()
          reading = in_thread(all_of, client)
          far.sendall(content); far.close()
          check(reading() == content)
          client.close()
      r.over()
      """)
  }

  @Test func `peers of every kind are served`() throws {
    try passes(
      """
      r = Relay('--threads', '2', upstreams=[upstream()])
      # Those who say nothing, on either side, and one who leaves without a word.
      silent = [r.pair() for _ in range(20)]
      gone = r.connect(); gone.close()
      r.upstreams[0].accept()[0].close()
      check(r.ended()['why'] == 'end')
      # One who takes a byte at a time, while others are served.
      content = os.urandom(3_000_000)
      client, far = r.pair()
      crawling = in_thread(lambda: (client.sendall(content), client.shutdown(1)))
      for index in range(50):
          check(far.recv(1) == content[index:index + 1])
          other, end = r.pair()
          other.sendall(content[:70000]); other.shutdown(1)
          check(all_of(end) == content[:70000]); end.close(); other.close()
      check(all_of(far) == content[50:]); crawling(); far.close(); client.close()
      # One who closes without having read what came, which is a reset.
      client, far = r.pair()
      client.sendall(content[:100]); check(far.recv(1) == content[:1])
      until(lambda: len(far.recv(100, socket.MSG_PEEK)) == 99, 'the rest is there')
      far.close()
      check(is_reset(client), 'the client sees it')
      for client, far in silent: client.sendall(b'x'); check(far.recv(1) == b'x')
      r.stop(signal.SIGKILL)
      """)
  }

  @Test(arguments: [1, 38])
  func `in a sandbox without splice the bytes are copied`(_ errno: Int) throws {
    try passes(
      """
      content = os.urandom(5_000_000)
      r = Relay(upstreams=[upstream()], preexec_fn=lambda: sandbox(\(errno)))
      client, far = r.pair()
      for near, other in [(client, far), (far, client)]:
          sending = in_thread(lambda: (near.sendall(content), near.shutdown(1)))
          check(all_of(other) == content); sending()
      check(r.ended()['why'] == 'end')
      check(r.stop() == 0)
      """)
  }

  @Test func `an upstream that is a black hole is passed over`() throws {
    // In a network namespace of its own, where what is sent to 192.0.2.0/24 is lost on the way. Unix sockets reach across.
    let directory = try TemporaryDirectory()
    try passes(
      """
      back = upstream(family=socket.AF_UNIX, where='back')
      hole = 'ip link set lo up && ip route add 192.0.2.0/24 dev lo && exec "$@"'
      r = Relay('--connect-timeout', '300ms', upstreams=['192.0.2.9:80', 'unix:back'], listen='unix:front',
                wrap=['unshare', '-rn', 'sh', '-c', hole, 'sh'])
      for _ in range(2):
          start = time.monotonic()
          client = socket.socket(socket.AF_UNIX); client.settimeout(20); client.connect('front')
          far, _ = back.accept()
          client.sendall(b'hello'); check(far.recv(5) == b'hello')
          client.close(); far.close()
          said = r.ended()
          check(said['upstream'] == 'unix:back', said)
          # One of the two was begun with the hole.
          check(time.monotonic() - start < 5, 'it took too long')
      check(r.stop() == 0)
      """, in: directory)
  }
}
