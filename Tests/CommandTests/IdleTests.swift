// What the idle timeout and the rate limit have to do with each other, and who is to blame for standing still.

import TestSupport
import Testing

@Suite(.mayBlock) struct IdleTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `the rate of several sinks holds, whatever is watched`() throws {
    try passes(
      """
      fast = ['--rate-limit', '1M', '--limit', '1M']
      for more in (['--rate-limit', '2', '--limit', '3', '--idle-timeout', '450ms'], ['--progress', 'always', *fast], fast):
          began = time.monotonic()
          p = start('zero:', 'null:', 'null:', *more)
          said = p.communicate(timeout=20)[1]
          # The first twentieth of a second, or byte, is free.
          check(p.returncode == 0 and time.monotonic() - began > 0.9, more, time.monotonic() - began, said)
      """)
  }

  @Test func `what the rate limit holds back is not idle`() throws {
    try passes(
      """
      open('file', 'wb').write(b'abc')
      rate = ['--rate-limit', '1', '--idle-timeout', '900ms']
      limit = ['--limit', '2']
      copies = [start('zero:', 'null:', *rate, *limit), start('zero:', 'null:', 'null:', *rate, *limit), start('file', 'copy', *rate, *limit),
          start('zero:', 'null:', '--buffer', '64K', *rate, *limit), start('join', 'exec:printf abc', 'null:', '--half-close-timeout', '900ms', *rate),
          start('zero:', 'null:', '--rate-limit', '2', '--limit', '2', '--idle-timeout', '450ms')]
      # One whose source is idle is told so all the same.
      still = [start('-', *sinks, *rate, stdin=subprocess.PIPE) for sinks in (['null:'], ['null:', 'null:'])]
      for p in copies:
          said = p.communicate(timeout=20)[1]
          check(p.returncode == 0, p.args, said)
      for p in still:
          check(p.wait(20) == 74 and p.stderr.read() == b'splice: -: read: no byte for 900ms\\n')
      """, in: here)
  }

  /// A socket has accepted everything at once, and whoever reads it takes it bit by bit.
  @Test func `a peer that still takes bytes is not idle`() throws {
    try passes(
      """
      server = socket.socket(socket.AF_UNIX); server.bind('s'); server.listen(); server.settimeout(20)
      for act, more in [([], []), ([], ['null:']), ([], ['--buffer', '1M']), (['join'], [])]:
          p = start(*act, '-', 'unix:s', *more, '--idle-timeout', '2s', stdin=subprocess.PIPE)
          s, _ = server.accept(); s.settimeout(20)
          p.stdin.write(b'x' * 150000); p.stdin.flush()
          for _ in range(6):
              time.sleep(0.5)
              check(len(s.recv(25000, socket.MSG_WAITALL)) == 25000, act, more)
          check(p.poll() is None, act, more)
          check(p.wait(20) == 74, act, more); s.close()
      """, in: here)
  }

  @Test func `of several sinks, the one that is waited for is blamed`() throws {
    try passes(
      """
      # The source: the sinks have taken all there was.
      p = start('-', 'one', 'two', '--idle-timeout', '1200ms', stdin=subprocess.PIPE)
      p.stdin.write(b'a'); p.stdin.flush()
      check(p.wait(20) == 74)
      said = p.stderr.read()
      check(said == b'splice: -: read: no byte for 1200ms\\n', said)
      # A fifo that is never read, as the second of three.
      os.mkfifo('fifo'); reader = os.open('fifo', os.O_RDONLY | os.O_NONBLOCK)
      p = start('zero:', 'null:', 'fifo', 'null:', '--idle-timeout', '1200ms')
      check(p.wait(20) == 74)
      said = p.stderr.read()
      check(b'splice: fifo: write: no byte for 1200ms\\n' in said and b'null:' not in said, said)
      """, in: here)
  }

  @Test func `a join that is cut off says so`() throws {
    try passes(
      """
      s, word = listen()
      p = start('join', '-', word, '--half-close-timeout', '200ms', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
      c, _ = s.accept(); c.sendall(b'half of an ans'); check(c.recv(1) == b'')
      check(p.wait(20) == 0 and p.stdout.read() == b'half of an ans')
      said = p.stderr.read()
      check(said == b"splice: %s: read: no byte for 200ms after the other direction's end, cut off\\n" % word.encode(), said)
      # In good order there is nothing to say.
      p = start('join', '-', word, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
      c, _ = s.accept(); c.close()
      check(p.wait(20) == 0 and p.stderr.read() == b'')
      """)
  }

  @Test func `an optional sink that has everything is not blamed`() throws {
    try passes(
      """
      import json
      p = start('-', 'out', '--skip-slow', 'copy', '--detach-slow', 'digest:sha256', '--idle-timeout', '1200ms', '--stats', 'json', stdin=subprocess.PIPE)
      p.stdin.write(b'a'); p.stdin.flush()
      check(p.wait(20) == 74)
      said = p.stderr.read().splitlines()
      check(said[0] == b'splice: -: read: no byte for 1200ms' and len(said) == 2, said)
      check([sink['error'] for sink in json.loads(said[1])['sinks']] == [None] * 3, said)
      """, in: here)
  }

  @Test func `an idle timeout shorter than the half-close timeout is a failure`() throws {
    try passes(
      """
      s, word = listen()
      p = start('join', '-', word, '--idle-timeout', '2s', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
      c, _ = s.accept(); check(c.recv(1) == b'')
      check(p.wait(20) == 74 and p.stderr.read() == b'splice: %s: read: no byte for 2s\\n' % word.encode())
      """)
  }
}
