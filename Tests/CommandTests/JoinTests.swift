// `splice join`: both ways, ends passed on, nothing lost.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct JoinTests {
  let here: TemporaryDirectory
  let content = bytes(3_000_001)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  @Test func `a netcat in one line`() throws {
    let run = try python(
      """
      s, word = listen()
      content = open('a', 'rb').read()
      p = start('join', '-', word, stdin=open('a', 'rb'), stdout=open('b', 'wb'))
      c, _ = s.accept()
      got = b''
      while d := c.recv(100000): got += d
      check(got == content, 'sent')
      # Our end has been passed on, and the answer comes all the same.
      c.sendall(content[::-1]); c.close()
      check(p.wait() == 0, p.stderr.read())
      check(open('b', 'rb').read() == content[::-1], 'answer')
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a join between two listeners`() throws {
    let run = try python(
      """
      import threading
      content = open('a', 'rb').read()
      p = start('join', 'tcp-listen:0', 'unix-listen:s', '--explain', '--stats', 'json')
      port = int(p.stderr.readline().split()[-1])
      check(p.stderr.readline() == b'splice: unix-listen:s: listening\\n')
      one = socket.socket(); one.connect(('127.0.0.1', port))
      two = socket.socket(socket.AF_UNIX); two.connect('s')
      def talk(c, say):
          t = threading.Thread(target=lambda: (c.sendall(say), c.shutdown(socket.SHUT_WR))); t.start()
          got = b''
          while d := c.recv(100000): got += d
          t.join(); return got
      answers = {}
      other = threading.Thread(target=lambda: answers.update(two=talk(two, content[::-1]))); other.start()
      check(talk(one, content) == content[::-1], 'one'); other.join()
      check(answers['two'] == content, 'two')
      check(p.wait() == 0)
      import json
      report = json.loads(p.stderr.read().splitlines()[-1])
      check([d['received'] for d in report['directions']] == [len(content)] * 2, report)
      check([d['sinks'][0]['delivered'] for d in report['directions']] == [len(content)] * 2, report)
      check(not os.path.exists('s'))
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func programs() throws {
    let run = try shell("$splice join - exec:'tr a-z A-Z' <<< hello", in: here)
    #expect(run.status == 0 && run.text == "HELLO\n", "\(run.errors)")
    let both = try shell("$splice join exec:'cat a; exec >&-; cat > b' exec:'cat > c; cat c'", in: here)
    #expect(both.status == 0, "\(both.errors)")
    #expect(try here.contents("b") == content && here.contents("c") == content)
    let failing = try shell("$splice join - exec:'cat; exit 3' < a > b", in: here)
    #expect(failing.status == 74 && failing.errors == "splice: exec:cat; exit 3: run: ended with status 3\n")
    #expect(try here.contents("b") == content)
  }

  /// A program or a server that answers and closes has ended, and nothing has failed.
  @Test(arguments: ["exec:head -1", "unix:server"])
  func `a peer that answers and closes has not failed`(_ other: String) throws {
    let run = try python(
      """
      import threading
      s = socket.socket(socket.AF_UNIX); s.bind('server'); s.listen()
      def serve():
          c, _ = s.accept(); c.recv(100); c.sendall(b'answer'); c.close()
      if '\(other)' == 'unix:server': threading.Thread(target=serve, daemon=True).start()
      p = start('join', 'tcp-listen:0', '\(other)', '--explain')
      port = int(p.stderr.readline().split()[-1])
      c = socket.create_connection(('127.0.0.1', port)); c.sendall(b'GET\\n')
      got = b''
      while d := c.recv(100000): got += d
      check(got in (b'GET\\n', b'answer'), got)
      time.sleep(0.2); c.close()
      check(p.wait() == 0, p.stderr.read())
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// What a program still says after it has stopped to listen arrives, and then that it did not listen is told.
  @Test(arguments: [true, false])
  func `what was said before leaving arrives`(_ isFirst: Bool) throws {
    let run = try python(
      """
      os.mkfifo('go')
      program = 'exec:exec 0<&-; echo a; read x < go; head -c 300000 /dev/zero'
      words = [program, 'tcp-listen:0'] if \(isFirst ? "True" : "False") else ['tcp-listen:0', program]
      p = start('join', *words, '--explain')
      port = int(p.stderr.readline().split()[-1])
      c = socket.create_connection(('127.0.0.1', port))
      check(c.recv(2) == b'a\\n')
      c.sendall(b'x' * 1000); time.sleep(0.2)
      with open('go', 'w') as go: go.write('go\\n')
      got = 0
      try:
          while d := c.recv(10000): got += len(d); time.sleep(0.001)
      except ConnectionResetError: got += 1
      check(got == 300001, got)
      errors = p.stderr.read()
      check(p.wait() == 74 and b'write: Broken pipe' in errors, errors)
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// A program that fails while it is sent something: what it said is no end, and the failure is its own.
  @Test(arguments: [true, false], ["exit 3", "kill -9 $$"])
  func `a program that fails while it is written to`(_ isFirst: Bool, _ end: String) throws {
    let run = try python(
      """
      import select
      for number in range(3):
          words = ['exec:printf partial; read x < go; \(end)', 'tcp-listen:0']
          if not \(isFirst ? "True" : "False"): words.reverse()
          if not os.path.exists('go'): os.mkfifo('go')
          p = start('join', *words, '--explain')
          port = int(p.stderr.readline().split()[-1])
          c = socket.create_connection(('127.0.0.1', port))
          check(c.recv(7) == b'partial')
          # So much that the pipe to the program is full; a write that met the reset would hide it from the read.
          c.setblocking(False)
          while select.select([], [c], [], 0.2)[1]: c.send(b'z' * 65536)
          c.settimeout(20)
          with open('go', 'w') as go: go.write('go\\n')
          try: check(c.recv(1) != b'', 'looks finished', number)
          except ConnectionResetError: pass
          errors = p.stderr.read()
          check(p.wait() == 74 and (b'ended with status 3' in errors or b'ended by' in errors or b'SIGKILL' in errors), errors)
          check(b'tcp-listen:0: write:' not in errors and b'tcp-listen:0: read:' not in errors, errors)
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// A unix peer that closes with something unread has said all it said, however slowly that is taken.
  @Test(arguments: [true, false])
  func `what a unix peer said before it closed arrives`(_ isFirst: Bool) throws {
    let run = try python(
      """
      import select
      def listen(name):
          s = socket.socket(socket.AF_UNIX); s.bind(name); s.listen(1); s.settimeout(20); return s
      one, two = listen('one'), listen('two')
      words = ['unix:one', 'unix:two']
      if not \(isFirst ? "True" : "False"): words.reverse()
      p = start('join', *words)
      a, b = one.accept()[0], two.accept()[0]
      a.sendall(b'request')
      check(b.recv(7, socket.MSG_PEEK) == b'request')
      b.setblocking(False)
      sent = 0
      # As much as is taken while nobody reads.
      while select.select([], [b], [], 0.5)[1]: sent += b.send(b'a' * 16384)
      check(sent > 200_000, sent)
      b.close(); a.settimeout(20)
      got = 0
      while d := a.recv(30_000): got += len(d); time.sleep(0.001)
      check(got == sent, got, sent)
      check(p.wait() == 74)
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// What is read and written at one offset, or at two of one file, would be written over before it is read.
  @Test(arguments: [
    ("fd:3 exec:cat 3<>a", 64, "splice: fd:3: open: cannot be read and written at once\n"),
    ("- exec:cat < a >> a", 73, "splice: -: open: source and sink are the same file\n"),
    ("- fd:3 < a 3<>a", 64, "splice: fd:3: open: cannot be read and written at once\n"),
    ("a exec:cat", 64, "splice: a: open: cannot be read and written at once\n"),
  ])
  func `a file is not its own sink`(_ words: String, _ status: Int32, _ message: String) throws {
    let run = try shell("$splice join \(words)", in: here)
    #expect(run.status == status && run.errors == message, "\(run.errors)")
    #expect(try here.contents("a") == content)
  }

  /// The flag belongs to the open file, and so to whoever gave it to us.
  @Test(arguments: ["socket.AF_UNIX", "socket.AF_INET"])
  func `a socket that is given stays blocking`(_ family: String) throws {
    let run = try python(
      """
      import fcntl
      def flags(s): return fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK
      if \(family) == socket.AF_UNIX: ours, given = socket.socketpair()
      else:
          s = socket.create_server(('127.0.0.1', 0))
          ours = socket.create_connection(s.getsockname()); given, _ = s.accept()
      p = start('join', f'fd:{given.fileno()}', 'exec:cat', pass_fds=[given.fileno()])
      ours.sendall(b'hello')
      check(ours.recv(100) == b'hello')
      check(not flags(given), 'while it runs')
      ours.shutdown(socket.SHUT_WR)
      check(p.wait() == 0 and not flags(given), 'afterwards')
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `after one end, the other may be idle for a while`() throws {
    let run = try python(
      """
      def is_reset(s):
          try:
              while s.recv(1000): pass
          except ConnectionResetError: return True
          # Behind an end that was heard, the error alone tells.
          return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (32, 104)
      s, word = listen()
      # The peer ends and we say nothing more: an end in good order. It is not the timeout that ends those who speak.
      p = start('join', '-', word, '--half-close-timeout', '1s', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
      c, _ = s.accept(); c.shutdown(socket.SHUT_WR)
      for n in range(15):
          time.sleep(0.1); p.stdin.write(b'still here'); p.stdin.flush()
      began = time.time()
      check(p.wait() == 0, p.stderr.read())
      check(0.2 < time.time() - began < 6, time.time() - began)
      # It has got everything that was said, and is reset after it: what is cut off does not look finished.
      got = c.recv(150, socket.MSG_WAITALL)
      check(got == b'still here' * 15, got)
      check(is_reset(c), 'looks finished')
      # It is the peer who says nothing more, and does not end either: nobody waits for its last words.
      p = start('join', '-', word, '--half-close-timeout', '300ms', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
      c, _ = s.accept(); check(c.recv(1) == b'')
      began = time.time()
      check(p.wait() == 0, p.stderr.read())
      check(0.2 < time.time() - began < 3, time.time() - began)
      check(is_reset(c), 'looks finished')
      # Cut off behind a message, between two peers: whoever said it, and whoever heard it, is reset.
      s2, word2 = listen()
      p = start('join', word, word2, '--half-close-timeout', '300ms')
      one, _ = s.accept(); two, _ = s2.accept()
      one.sendall(b'question'); one.shutdown(socket.SHUT_WR)
      check(two.recv(100, socket.MSG_WAITALL) == b'question')
      two.sendall(b'half of an ans')
      check(one.recv(14, socket.MSG_WAITALL) == b'half of an ans')
      check(p.wait() == 0, p.stderr.read())
      check(is_reset(one) and is_reset(two), 'looks finished')
      # Idle before either has ended: both are.
      p = start('join', word, word2, '--idle-timeout', '300ms')
      one, _ = s.accept(); two, _ = s2.accept()
      one.sendall(b'question'); check(two.recv(8, socket.MSG_WAITALL) == b'question')
      check(p.wait() == 74 and is_reset(one) and is_reset(two), 'looks finished')
      # Before an end only the idle timeout counts.
      p = start('join', '-', word, '--half-close-timeout', '50ms', '--idle-timeout', '400ms', stdin=subprocess.PIPE)
      c, _ = s.accept()
      began = time.time()
      check(p.wait() == 74 and time.time() - began > 0.3)
      check(p.stderr.read() == b'splice: -: read: no byte for 400ms\\n')
      """)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a reset and a lost reader are failures`() throws {
    let run = try python(
      """
      s, word = listen()
      p = start('join', word, 'null:'); c, _ = s.accept(); c.sendall(b'x' * 10)
      # `null:` ends at once, which is passed on, and swallows what comes.
      check(c.recv(1) == b''); reset(c)
      check(p.wait() == 74)
      check(p.stderr.read() == b'splice: %s: read: Connection reset by peer\\n' % word.encode())
      p = start('join', '-', word, stdin=subprocess.PIPE, stdout=(w := os.pipe())[1]); os.close(w[1]); os.close(w[0])
      c, _ = s.accept(); c.sendall(b'x')
      check(p.wait() == 74 and p.stderr.read() == b'splice: -: write: Broken pipe\\n')
      """)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a join keeps rates and paths`() throws {
    let began = ContinuousClock.now
    let run = try shell(
      "head -c 600K a | $splice join - exec:cat --rate-limit 400K --via copy --explain --stats text | cmp -n 614400 - a",
      in: here)
    #expect(run.status == 0, "\(run.text)")
    #expect(ContinuousClock.now - began > .seconds(1.3))
    #expect(run.errors.contains("-: read 614400 bytes by copy (copying was asked for)"))
    #expect(run.errors.contains("splice: 614400 bytes received, 614400 delivered in "))
  }

  @Test func `wrong usage`() throws {
    for words in [
      ["-", "-"], ["append:x", "-"], ["-", "zero:"], ["-"], ["-", "null:", "--half-close-timeout", "5x"],
    ] {
      #expect(try run(try product("splice"), ["join"] + words).status == 64, "\(words)")
    }
    let file = try shell("$splice join a null:", in: here)
    #expect(file.status == 64 && file.errors == "splice: a: open: cannot be read and written at once\n")
  }

  @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
  func signals(_ signal: Int32, _ status: Int32) throws {
    let running = try Running(
      try product("splice"), ["join", "tcp-listen:0", "null:", "--explain", "--stats", "text"])
    _ = try port(running)
    running.send(signal)
    let run = running.wait()
    #expect(run.status == status && run.errors.contains("0 bytes received"))
  }

  @Test func `a failure is of one endpoint, and not of its namesake`() throws {
    try passes(
      """
      import json
      s, word = listen()
      for flip in (0, 1):
          p = start('join', word, word, '--stats', 'json')
          ends = [s.accept()[0] for _ in range(2)]
          # Both are joined: a reset before that is one of the connect.
          ends[0].sendall(b'x'); check(ends[1].recv(1) == b'x')
          reset(ends[flip])
          check(p.wait(20) == 74)
          directions = json.loads(p.stderr.read().splitlines()[-1])['directions']
          # One of the two directions says so, and the one that it is: each end is the source of one and the sink of the other.
          errors = [(d['source']['error'], d['sinks'][0]['error']) for d in directions]
          check(not errors[flip][1] and not errors[1 - flip][0], flip, errors)
          check(bool(errors[flip][0]) != bool(errors[1 - flip][1]), flip, errors)
      """)
  }
}
