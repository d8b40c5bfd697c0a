// Bad input and faults: a clear line, the right status, nothing lost.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct BadInputTests {
  let here: TemporaryDirectory
  let content = bytes(3_000_001)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  @Test func `without a word it says how to go on`() throws {
    let run = try splice()
    #expect(run.status == 64 && run.output.isEmpty)
    #expect(
      run.errorLines.count <= 6
        && run.errors.hasPrefix("splice: nothing to move\nusage: splice SOURCE SINK...\n"))
    // The examples are those of the help.
    let help = try splice("--help").text
    for line in run.errorLines[2...4] { #expect(help.contains(line)) }
  }

  @Test func permissions() throws {
    // Also as root, who may read everything: the command is run by nobody then.
    let line = """
      cp $splice tool; chmod 755 . tool; touch b; chmod 000 a b; mkdir d; chmod 555 d
      run() { if [ $(id -u) = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }
      run ./tool a -; echo $?; run ./tool null: b; echo $?; run ./tool null: d/x; echo $?; chmod 644 a
      """
    let run = try shell(line, in: here)
    #expect(run.text == "66\n73\n73\n")
    #expect(
      run.errorLines == ["a", "b", "d/x"].map { "splice: \($0): open: Permission denied" }, "\(run.errors)")
  }

  @Test func namesAndPorts() throws {
    let unknown = try splice("tcp:no.such.host.invalid:1", "-")
    #expect(unknown.status == 66 && unknown.errors.hasPrefix("splice: tcp:no.such.host.invalid:1: resolve: "))
    let first = try Running(try product("splice"), ["tcp-listen:0", "-", "--explain"])
    let number = try port(first)
    let taken = try splice("tcp-listen:\(number)", "-")
    #expect(
      taken.status == 66 && taken.errors == "splice: tcp-listen:\(number): listen: Address already in use\n")
    #expect(try splice("null:", "tcp-listen:\(number)").status == 73)
    first.send(SIGTERM)
    #expect(first.wait().status == 143)
    try here.write("s", [])
    let there = try splice("unix-listen:\(here.path)/s", "-")
    #expect(there.status == 66 && there.errors.hasSuffix("listen: Address already in use\n"))
    // It was not ours, and is there still.
    #expect(FileManager.default.fileExists(atPath: "\(here.path)/s"))
  }

  @Test func filesOfTheKernel() throws {
    for file in [
      "/proc/self/mounts", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/cpuinfo",
    ] {
      let run = try shell(
        "$splice \(file) b && $splice \(file) - | cmp - b && cat \(file) | wc -c | cmp - <(wc -c < b)",
        in: here)
      #expect(run.status == 0, "\(file): \(run.errors)")
      #expect(try !here.contents("b").isEmpty)
    }
  }

  @Test func limitsOnTheProcess() throws {
    let large = try shell("ulimit -f 1000; $splice a b; echo $?; stat -c %s b", in: here)
    #expect(large.text == "74\n1024000\n" && large.errors == "splice: b: write: File too large\n")
    #expect(try here.contents("b") == Array(content[..<1_024_000]))
    let many = try shell(
      "for n in 3 4 5 6 7; do (ulimit -n $n; $splice a - | cat > b; echo ${PIPESTATUS[0]}); done", in: here)
    #expect(many.text.split(separator: "\n").last == "0" || many.errors.contains("Too many open files"))
    for line in many.errorLines where line.hasPrefix("splice:") {
      #expect(line.hasSuffix(": Too many open files"), "\(line)")
    }
    #expect(
      many.text.split(separator: "\n").allSatisfy { ["0", "66", "70", "73", "74"].contains($0) },
      "\(many.text)")
  }

  @Test func sinksThatGoAway() throws {
    let run = try inlinePython(
      """
      # Resets.
      s, word = listen()
      p = start('zero:', word); c, _ = s.accept(); c.recv(10); reset(c)
      check(p.wait() == 74)
      line = p.stderr.read().decode()
      check(line in ('splice: %s: write: %s\\n' % (word, e) for e in ('Connection reset by peer', 'Broken pipe')), line)
      # Greets, and never reads: told by the idle timeout, and nobody waits for its confirmation.
      p = start('zero:', word, '--idle-timeout', '1200ms', '--stats', 'json'); c, _ = s.accept(); c.sendall(b'220 hello')
      began = time.time()
      check(p.wait() == 74 and time.time() - began < 4, time.time() - began)
      check(p.stderr.read().startswith(b'splice: %s: write: no byte for 1200ms\\n{' % word.encode()))
      # A source that says nothing.
      p = start(word, '-', '--idle-timeout', '1s', stdout=subprocess.DEVNULL); c, _ = s.accept()
      check(p.wait() == 74 and p.stderr.read() == b'splice: %s: read: no byte for 1s\\n' % word.encode())
      """)
    #expect(run.status == 0, "\(run.errors)")
    let quits = try shell(
      "$splice zero: - --stats json | head -c 100000 >/dev/null; echo ${PIPESTATUS[0]}", in: here)
    #expect(
      quits.text == "141\n" && quits.errors.contains("\"error\":{\"act\":\"write\",\"errno\":\"EPIPE\""))
  }

  @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
  func signalsInTheMiddle(_ signal: Int32, _ status: Int32) throws {
    // Stopped, gone on with, and ended: what it says is what has arrived.
    let running = try Running(
      try product("splice"), ["a", "b", "--rate-limit", "100K", "--stats", "json", "--progress", "always"],
      directory: here.path)
    _ = running.waitForErrors(containing: "KiB/s")
    running.send(SIGSTOP)
    running.send(SIGCONT)
    running.send(signal)
    let run = running.wait()
    #expect(run.status == status)
    let report = try stats(run)
    let arrived = try here.contents("b")
    #expect(report["received"] as? Int == arrived.count && !arrived.isEmpty && content.starts(with: arrived))
    #expect(((report["sinks"] as? [[String: Any]])?.first)?["delivered"] as? Int == arrived.count)
  }

  @Test(arguments: [1, 38])
  func aSandboxWithoutTheCalls(_ errno: Int) throws {
    let sandbox = """
      sandbox(\(errno))
      content = open('a', 'rb').read()
      def run(*words, status=0, **more):
          p = subprocess.run([splice, *words], stderr=subprocess.PIPE, **more)
          check(p.returncode == status, words, p); return p
      run('a', 'b'); check(open('b', 'rb').read() == content, 'file')
      run('holes', 'c'); check(open('c', 'rb').read() == open('holes', 'rb').read(), 'holes')
      check(run('a', '-', stdout=subprocess.PIPE).stdout == content, 'pipe')
      check(run('-', '-', input=content, stdout=subprocess.PIPE).stdout == content, 'pipes')
      s, word = listen()
      p = start('a', word); c, _ = s.accept(); got = b''
      while d := c.recv(100000): got += d
      c.close(); check(p.wait() == 0 and got == content, 'socket')
      run('a', 'null:', '--via', 'splice', status=74)
      check(b'by copy' in run('a', 'null:', '--explain').stderr)
      """
    _ = try shell("truncate -s 1M holes; cat a >> holes; truncate -s 9M holes", in: here)
    let run = try inlinePython(sandbox, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// Beyond `pipe-user-pages-soft` pipes have two slots and do not grow. That is slower, and nothing else.
  @Test func anUnprivilegedUserBeyondThePageBudgetLosesNothing() throws {
    let run = try inlinePython(
      """
      import fcntl, shutil
      shutil.copy(splice, 'splice'); os.chmod('splice', 0o755); os.chmod('.', 0o777)
      content = os.urandom(3000000)
      open('a', 'wb').write(content); os.chmod('a', 0o644)
      child = os.fork()
      if child == 0:
          if os.getuid() == 0:
              os.setgroups([]); os.setgid(65533); os.setuid(65533)
          F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
          held = []
          try:
              while True:
                  held.append(os.pipe()); fcntl.fcntl(held[-1][1], F_SETPIPE_SZ, 1 << 20)
          except PermissionError: pass
          while fcntl.fcntl(held[-1][1], F_GETPIPE_SZ) > 8192: held.append(os.pipe())
          for more in ([], ['--via', 'splice'], ['--buffer', '1M']):
              run = subprocess.run(['./splice', 'a', '-', *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
              check(run.returncode == 0 and run.stdout == content, more, run.returncode, run.stderr, len(run.stdout))
          os._exit(0)
      check(os.waitpid(child, 0)[1] == 0, 'the child')
      """, in: TemporaryDirectory())
    #expect(run.status == 0, "\(run.errors)")
  }
}
