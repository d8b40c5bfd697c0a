// The log of a server: it holds nobody up when it is not read, and what comes from outside cannot forge it.

import TestSupport
import Testing

@Suite(.mayBlock) struct LogTests {
  /// A relay between unix sockets, whose standard error is a pipe that is full already and that nobody reads.
  private func unread(_ program: String) throws {
    try operates(
      #"""
      def full_pipe():
          read, write = os.pipe(); os.set_blocking(write, False)
          for size in (4096, 1):
              try:
                  while True: os.write(write, b'.' * size)
              except BlockingIOError: pass
          os.set_blocking(write, True)
          return read, write
      up = upstream(backlog=1000, family=socket.AF_UNIX, where='up'); up.settimeout(None)
      def serve():
          while True:
              far, _ = up.accept(); far.sendall(far.recv(10)); far.close()
      threading.Thread(target=serve, daemon=True).start()
      def unix(path):
          s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(path); return s
      def is_there(path):
          try: unix(path).close(); return True
          except OSError: return False
      def begin(*options):
          read, write = full_pipe()
          p = subprocess.Popen([splice, 'relay', *options, 'unix:front', 'unix:up', '--admin', 'unix:admin'], stderr=write)
          atexit.register(p.kill); os.close(write)
          until(lambda: is_there('front') and is_there('admin'), 'it begins')
          return p, read
      def serves(count):
          for n in range(count):
              s = unix('front'); s.sendall(b'hello'); check(s.recv(10) == b'hello', n); s.close()
      def value(name):
          s = unix('admin'); s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
          for line in all_of(s).decode().split('\n'):
              if line.startswith(name + ' '): return int(line.split(' ')[1])

      """# + program, in: try TemporaryDirectory())
  }

  @Test(arguments: ["text", "json"])
  func `a standard error that nobody reads holds up no connection`(_ format: String) throws {
    try unread(
      #"""
      p, read = begin('--log-format', 'FORMAT')
      serves(5000)
      until(lambda: value('splice_relay_clients') == 0, 'all have ended')
      dropped = value('splice_log_dropped_total')
      check(dropped > 0)
      # A reader comes back: the log goes on, and says what is missing.
      said = bytearray()
      def reads():
          while piece := os.read(read, 1 << 16): said.extend(piece)
      reading = in_thread(lambda: (reads(), True))
      until(lambda: b'were dropped' in said, 'the log says so')
      lines = said.decode().lstrip('.').splitlines()
      told = [int(re.search(r'(\d+) log lines were dropped', l)[1]) for l in lines if 'were dropped' in l]
      check(sum(told) == dropped == value('splice_log_dropped_total'), told, dropped)
      kept = [l for l in lines if '] connection' in l or '"connection"' in l]
      check(len(kept) + dropped == value('splice_relay_accepted_total'), len(kept), dropped)
      if 'FORMAT' == 'json':
          for l in lines:
              if l.startswith('{'): json.loads(l)
      serves(1); until(lambda: bytes(said).splitlines()[-1].find(b'connection') > 0, 'it is written as before')
      p.terminate(); check(p.wait(20) == 0); reading()
      check(b'total' in said)
      """#.replacing("FORMAT", with: format))
  }

  @Test func `a standard error that nobody reads does not delay the exit`() throws {
    try unread(
      """
      p, read = begin()
      serves(50)
      since = time.monotonic()
      p.terminate(); check(p.wait(20) == 0)
      check(time.monotonic() - since < 10, 'late')
      # Nor an error at the start.
      open('file', 'w').write('something')
      read, write = full_pipe()
      check(subprocess.run([splice, 'relay', 'unix:missing/front', 'unix:up'], stderr=write, timeout=20).returncode == 73)
      """)
  }

  @Test func `a standard error that cannot be written to holds up nothing`() throws {
    try unread(
      """
      for gone in [os.open('/dev/full', os.O_WRONLY), socket.socketpair()[0].detach()]:
          p = subprocess.Popen([splice, 'relay', 'unix:front', 'unix:up', '--admin', 'unix:admin'], stderr=gone)
          atexit.register(p.kill); os.close(gone)
          until(lambda: is_there('front') and is_there('admin'), 'it begins')
          serves(20)
          until(lambda: value('splice_log_dropped_total') >= 20, 'they are counted')
          p.terminate(); check(p.wait(20) == 0)
      """)
  }

  @Test func `without an idle timeout the relay warns at the start`() throws {
    try operates(
      """
      r = Relay(upstreams=[upstream()])
      check('warning' in r.line('no idle timeout') and '--idle-timeout' in r.said[-1], r.said)
      check(r.stop() == 0)
      r = Relay('--idle-timeout', '1h', upstreams=[upstream()])
      check(r.stop() == 0)
      r.process.stderr.close
      check(not any('idle timeout' in l for l in r.said + list(r.lines.queue) if l))
      """)
  }

  /// Names of sockets are bytes others choose: of a client, in a PROXY header, of an upstream.
  @Test(arguments: ["text", "json"])
  func `names from outside forge nothing in the log and on the pages`(_ format: String) throws {
    try operates(
      #"""
      evil = b'\nforged why=end [SpliceServices] connection\r\x1b[31m\x7f\xc2\x9b1m\xe2\x80\xa8\xe2\x80\xae\xff'
      name = b'up\x1b[2J\nforged "<b>'
      up = upstream(family=socket.AF_UNIX, where=name)
      upstream_word = 'unix:' + name.decode()
      p = subprocess.Popen([splice, 'relay', 'unix:front\nforged\x1b[2J', upstream_word, '--proxy-in', 'v2', '--admin', 'unix:admin', '--log-format', 'FORMAT'], stderr=subprocess.PIPE)
      atexit.register(p.kill)
      def unix(path, own=None):
          s = socket.socket(socket.AF_UNIX); s.settimeout(20)
          if own: s.bind(own)
          s.connect(path); return s
      def there():
          try: unix('admin').close(); return True
          except OSError: return False
      until(there, 'it begins')
      pad = lambda b: b + bytes(108 - len(b))
      signature = b'\r\n\r\n\0\r\nQUIT\n'
      for header in [signature + b'\x20\0\0\0', signature + b'\x21\x31' + struct.pack('>H', 216) + pad(b'\0' + evil) + pad(b'/run/' + evil),
                     signature + b'\x21\x31' + struct.pack('>H', 216) + pad(b'/tmp/' + evil) + pad(b'')]:
          s = unix('front\nforged\x1b[2J', b'\0' + evil + os.urandom(4).hex().encode()); s.sendall(header)
          far, _ = up.accept(); far.close(); check(s.recv(1) == b''); s.close()
      answers = []
      for path in [b'/metrics', b'/']:
          s = unix('admin'); s.sendall(b'GET ' + path + b' HTTP/1.0\r\n\r\n'); answers.append(all_of(s).split(b'\r\n\r\n', 1)[1])
      p.terminate(); said = p.communicate(timeout=20)[1]
      check(p.returncode == 0, said)
      for text in [said, *answers]:
          text = text.decode()  # it is UTF-8
          check(not any(ord(c) < 32 and c != '\n' or 127 <= ord(c) < 160 or c in '\u2028\u2029\u202e' for c in text), text)
          check(not any(l.lstrip().startswith('forged') for l in text.split('\n')), text)
      check(b'<b>' not in answers[1] and b'up\\u{1b}[2J' in answers[1] and b'up\\\\u{1b}[2J' in answers[0])
      lines = said.decode().split('\n')
      connections = [l for l in lines if re.search(r'\] connection$|"message":"connection"', l)]
      check(len(connections) == 3, said)
      for l in connections:
          name = json.loads(l)['client'] if l.startswith('{') else re.search(r'client="(.*?)" ', l)[1]
          check(r'\nforged why=end [SpliceServices] connection\r\u{1b}[31m\u{7f}\u{9b}1m\u{2028}\u{202e}\xff' in name.replace('\\\\', '\\'), name)
      """#.replacing("FORMAT", with: format), in: try TemporaryDirectory())
  }
}
