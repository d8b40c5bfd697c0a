// What has not arrived whole is never shown as whole: not to a peer, not in a digest, not in the exit status.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct WholenessTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  // MARK: - A source program that fails

  /// Its output ends when it crashes as it does when it is done: only its exit tells.
  @Test func `the peer of a source program that fails is reset`() throws {
    try passes(
      """
      for program in ['exec:head -c 1000 /dev/zero; kill -9 $$', 'exec:head -c 1000 /dev/zero; exit 3']:
          for words in [[program], ['--buffer', '64K', program]]:
              for more in [[], ['null:'], ['digest:sha256']]:
                  s, word = listen()
                  p = start(*words, word, *more)
                  c, _ = s.accept(); c.settimeout(20)
                  check(is_reset(c), words, more)
                  said = p.stderr.read()
                  check(p.wait(20) == 74, words, more, p.returncode, said)
                  check(b': run: ended ' in said and b'  ' not in said, words, more, said)
      """, in: here)
  }

  @Test func `the peer of a joined program that fails is reset`() throws {
    try passes(
      """
      for program in ['exec:head -c 1000 /dev/zero; kill -9 $$', 'exec:head -c 1000 /dev/zero; exit 3',
                      'exec:cat >/dev/null; exit 3']:
          for flip in (False, True):
              s, word = listen()
              p = start('join', *([program, word] if flip else [word, program]))
              c, _ = s.accept(); c.settimeout(20)
              if 'cat' in program: c.shutdown(socket.SHUT_WR)
              check(is_reset(c), program, flip)
              said = p.stderr.read()
              check(p.wait(20) == 74 and b': run: ended ' in said, program, flip, p.returncode, said)
      """, in: here)
  }

  /// A program that has closed its output and lives on may still want to read.
  @Test func `a joined program may end its output and read on`() throws {
    try passes(
      """
      s, word = listen()
      p = start('join', word, 'exec:printf said; exec >&-; cat >got')
      c, _ = s.accept(); c.settimeout(20)
      check(all_of(c) == b'said')
      c.sendall(b'heard'); c.close()
      check(p.wait(20) == 0, p.stderr.read())
      check(open('got').read() == 'heard')
      """, in: here)
  }

  /// What was asked for is whole, whatever the program does when it loses its reader.
  @Test func `a limit that is reached needs no exit`() throws {
    let run = try shell(
      "$splice exec:'cat /dev/zero' b --limit 1000 && $splice exec:'cat /dev/zero' b c --limit 1000", in: here
    )
    #expect(run.status == 0, "\(run.errors)")
    #expect(try here.contents("c").count == 1000)
  }

  // MARK: - A buffer

  /// The thread that fills the buffer needs descriptors of its own, and ends without them.
  @Test func `a buffer that cannot be filled is a failure`() throws {
    try here.write("a", bytes(3_000_000))
    for sinks in ["b", "b null:"] {
      // Counted in each thread.
      for when in 1...3 {
        let run = try shell(
          """
          strace -f -qq -o /dev/null -e trace=eventfd2 -e inject=eventfd2:error=EMFILE:when=\(when) \
          $splice a \(sinks) --buffer 64K; s=$?; [ $s != 0 ] || cmp a b || exit 1; exit $s
          """, in: here)
        #expect([0, 74].contains(run.status), "\(sinks) \(when): \(run.status) \(run.errors)")
        if run.status == 74 { #expect(run.errors.contains("Too many open files"), "\(run.errors)") }
      }
    }
  }

  // MARK: - The last words of a socket

  @Test func `a reset during the last words is a failure`() throws {
    try passes(
      """
      open('a', 'wb').write(b'a' * 100000)
      for more in [[], ['null:']]:
          s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
          s.bind(('127.0.0.1', 0)); s.listen()
          p = start('a', 'tcp:' + name(s), *more)
          c, _ = s.accept(); c.settimeout(20)
          check(len(c.recv(1000)) > 0)
          # CLOSE_WAIT: everything has come, and the end.
          until(lambda: c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b'\\x08')
          reset(c)
          said = p.stderr.read()
          check(p.wait(20) == 74 and b': close: Connection reset by peer' in said, p.returncode, said)
      """, in: here)
  }

  @Test func `unread input is dropped without a descriptor`() throws {
    try passes(
      """
      s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
      s.bind(('127.0.0.1', 0)); s.listen()
      p = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-P', '/dev/null', '-e', 'trace=openat',
          '-e', 'inject=openat:error=EMFILE', splice, '-', 'tcp:' + name(s)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
      c, _ = s.accept(); c.settimeout(20)
      c.sendall(b'unread' * 1000)
      # It is all on its way, and only a little of it here, when the command has nothing left to do but to listen.
      p.stdin.write(b'a' * 300000); p.stdin.close()
      try: p.wait(0.5)
      except subprocess.TimeoutExpired: pass
      check(len(all_of(c)) == 300000)
      c.close()
      check(p.wait(20) == 0, p.stderr.read())
      """, in: here)
  }

  // MARK: - A digest

  @Test func `a digest that missed bytes is none`() throws {
    // More than it keeps up with: nothing waits for it.
    let run = try shell("$splice zero: null: --skip-slow digest:sha256 --limit 512M --stats json", in: here)
    #expect(run.status == 0, "\(run.errors)")
    let sinks = try #require(try stats(run)["sinks"] as? [[String: Any]])
    let digest = try #require(sinks.last)
    let skipped = try #require(digest["skipped"] as? Int)
    #expect(skipped > 0)
    #expect(digest["digest"] is NSNull)
    #expect((digest["error"] as? [String: Any])?["reason"] as? String == "missed \(skipped) bytes")
    #expect(run.errorLines.first == "splice: digest:sha256: digest: missed \(skipped) bytes")
    #expect(run.errorLines.count == 2)
  }

  // MARK: - A file that is cut

  @Test func `a file that is cut while several sinks read it is truncated`() throws {
    try passes(
      """
      import json
      with open('a', 'wb') as f: f.truncate(20000000)
      s, word = listen()
      os.mkfifo('f')
      p = start('a', 'f', word, '--stats', 'json')
      c, _ = s.accept(); c.settimeout(20)
      f = open('f', 'rb')
      check(len(f.read(1)) == 1 and len(c.recv(1)) == 1)
      os.truncate('a', 10000000)
      check(len(f.read(9999999)) == 9999999)
      check(is_reset(c))
      check(f.read() == b'')
      said = p.stderr.read().decode().splitlines()
      check(p.wait(20) == 74, p.returncode, said)
      check(said[0] == 'splice: a: read: truncated: 10000000 bytes are missing', said)
      stats = json.loads(said[-1])
      check(stats['received'] == 10000000, said)
      check([sink['delivered'] for sink in stats['sinks']] == [10000000, 10000000], said)
      """, in: here)
  }

  /// Each sink reads the file by itself, and none of them is to blame.
  @Test func `a file that several sinks cannot read is the source's fault`() throws {
    try here.write("a", bytes(2_000_000))
    let run = try shell(
      """
      strace -f -qq -o /dev/null -P "$(realpath a)" -e trace=splice -e inject=splice:error=EIO $splice a b c --stats json
      """, in: here)
    #expect(run.status == 74)
    #expect(run.errorLines.first == "splice: a: read: Input/output error")
    #expect(run.errorLines.count == 2, "\(run.errors)")
    let stats = try stats(run)
    #expect(stats["received"] as? Int == 0)
    #expect(((stats["source"] as? [String: Any])?["error"] as? [String: Any])?["errno"] as? String == "EIO")
    let sinks = try #require(stats["sinks"] as? [[String: Any]])
    #expect(sinks.map { $0["error"] is NSNull } == [true, true])
  }
}
