// How the command starts: checked, then opened, then run; and a start that is refused leaves nothing behind.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct StartTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a refused start leaves nothing behind and runs nothing`() throws {
    try passes(
      """
      open('a', 'wb').write(b'a' * 100); open('empty', 'wb'); os.symlink('target', 'dangling')
      there = sorted(os.listdir('.'))
      for words, status in [
          (['a', 'new', '/no/such/sink'], 73), (['a', 'new', 'append:new2', '.'], 73), (['a', 'exec:touch ran; cat', '/no/such'], 73),
          (['exec:touch ran', 'new', '/no/such'], 73), (['exec:touch ran', 'new', 'tcp:127.0.0.1:1'], 73), (['/no/such', 'exec:touch ran'], 66),
          (['tcp:127.0.0.1:1', 'new'], 66), (['a', 'new', 'a'], 73), (['a', 'new', 'exec:touch ran', 'file:new'], 73), (['a', 'new', 'fd:9'], 73),
          (['exec:touch ran', 'new', '--offset', '1'], 64), (['a', 'exec:touch ran', '--sync'], 64), (['exec:touch ran', 'new', 'unix:none'], 73),
          (['a', 'new', 'unix-listen:no/such'], 73), (['join', 'exec:touch ran', 'unix:none'], 73), (['join', 'exec:touch ran', 'tcp:127.0.0.1:1'], 73),
          (['a', 'new', '/no/such', '--skip-slow', 'exec:touch ran', '--detach-slow', 'new3'], 73)]:
          p = subprocess.run([splice, *words], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
          check(p.returncode in (status, 66 if words[0] == 'join' else status), words, p)
          check(sorted(os.listdir('.')) == there, words, os.listdir('.'))
      # Nor one that is interrupted, or timed out, while it waits for a peer.
      os.mkfifo('fifo'); there.append('fifo')
      p = start('exec:touch ran', 'new', 'unix-listen:s', '--explain')
      check(b'listening' in p.stderr.readline()); check(os.path.exists('new'))
      p.send_signal(signal.SIGTERM); check(p.wait(20) == 143)
      p = start('fifo', 'new', '--idle-timeout', '200ms'); check(p.wait(20) == 74)
      check(sorted(os.listdir('.')) == sorted(there), os.listdir('.'))
      # What was there stays as it was; and what came into a new file meanwhile is not removed with it.
      p = start('a', 'new', 'empty', 'unix-listen:s', '--explain')
      check(b'listening' in p.stderr.readline())
      open('new', 'wb').write(b'mine'); p.send_signal(signal.SIGTERM); check(p.wait(20) == 143)
      check(open('new', 'rb').read() == b'mine' and os.path.exists('empty'))
      os.unlink('new')
      p = start('a', 'new', 'unix-listen:s', '--explain'); check(b'listening' in p.stderr.readline())
      os.unlink('new'); open('new', 'wb'); p.send_signal(signal.SIGTERM); check(p.wait(20) == 143)
      check(os.path.exists('new'), 'another file of that name')
      # A link to nowhere makes its target, as with a shell.
      check(subprocess.run([splice, 'a', 'dangling']).returncode == 0 and open('target', 'rb').read() == b'a' * 100)
      # A copy that began and failed keeps what it has, an empty one too.
      check(subprocess.run([splice, 'exec:exit 3', 'begun'], stderr=subprocess.PIPE).returncode == 74 and os.path.exists('begun'))
      """, in: here)
  }

  @Test func `packed letters are unknown options`() throws {
    for words in [
      ["-dash", "-"], ["-", "-dash"], ["-hello", "-"], ["-xh", "a", "b"], ["join", "-hx", "-"],
      ["relay", "-sh"],
      ["-dash"],
    ] {
      let run = try run(try product("splice"), words)
      #expect(run.status == 64 && run.output.isEmpty, "\(words): \(run.status)")
      #expect(run.errors.contains("Unknown option '-"), "\(run.errors)")
    }
    for words in [["-h"], ["--help"], ["join", "-h"], ["relay", "--help"], ["help"]] {
      let run = try run(try product("splice"), words)
      #expect(run.status == 0 && run.text.contains("USAGE") && run.errors.isEmpty, "\(words)")
    }
    // Behind `--` it is a name.
    try here.write("-dash", Array("content".utf8))
    #expect(try shell("$splice -- -dash -", in: here).text == "content")
  }

  @Test func `an empty copy changes no length`() throws {
    try passes(
      """
      open('a', 'wb').write(b'a' * 100)
      for words, says in [(['--limit', '0'], b''), (['--offset', '200'], b'splice: a: seek: the offset 200 is past the end, at 100\\n'),
          (['--offset', '100'], b''), (['--offset', '200', '--limit', '5'], b'splice: a: seek: the offset 200 is past the end, at 100\\n')]:
          for size, more in [(None, ['--sink-offset', '100']), (50, ['--sink-offset', '100']), (300, ['--sink-offset', '100']), (50, [])]:
              for sink in ('b', '-'):
                  if size is None:
                      if os.path.exists('b'): os.unlink('b')
                  else: open('b', 'wb').write(bytes(size))
                  if sink == '-' and not more: continue
                  with open('b', 'ab' if False else 'r+b' if size is not None else 'wb') as out:
                      p = subprocess.run([splice, 'a', sink, *words, *more], stderr=subprocess.PIPE, stdout=out)
                  check(p.returncode == 0 and p.stderr == says, words, more, p)
                  # Without a place to write at the sink is emptied, as by any copy.
                  check(os.path.getsize('b') == (0 if not more else size or 0), words, more, size, os.path.getsize('b'))
      p = subprocess.run([splice, '-', 'b', '--offset', '50'], stdin=open('a', 'rb'), stderr=subprocess.PIPE); check(p.stderr == b'' and os.path.getsize('b') == 50)
      p = subprocess.run([splice, '-', '-', '--offset', '150'], stdin=open('a', 'rb'), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
      check(p.returncode == 0 and p.stderr == b'splice: -: seek: the offset 150 is past the end, at 100\\n', p)
      # A hole at the end is a part of what is copied.
      open('holes', 'wb').truncate(1 << 20)
      check(subprocess.run([splice, 'holes', 'new', '--sink-offset', '100']).returncode == 0 and os.path.getsize('new') == (1 << 20) + 100)
      check(subprocess.run([splice, 'holes', 'new2', '--offset', '1M', '--sink-offset', '100']).returncode == 0 and os.path.getsize('new2') == 0)
      """, in: here)
  }

  @Test(arguments: ["EMFILE", "ENFILE", "ENOMEM"])
  func `without a pipe of the kernel there is one in memory`(_ errno: String) throws {
    try here.write("a", bytes(2_000_003))
    let strace =
      "strace -qq -o /dev/null -e trace=pipe2,copy_file_range,ioctl -e inject=pipe2:error=\(errno) -e inject=copy_file_range:error=EXDEV -e inject=ioctl:error=ENOTTY $splice"
    for line in [
      "\(strace) a b && cmp a b", "\(strace) a b --via copy && cmp a b", "\(strace) a - | cmp - a",
      "cat a | \(strace) - b && cmp a b", "\(strace) a - --via copy | cmp - a",
      "\(strace) a b c && cmp a b && cmp a c",
      "\(strace) join - exec:true < a > b 2>/dev/null; true",
    ] {
      let run = try shell("set -o pipefail; \(line)", in: here)
      #expect(run.status == 0 && run.errors.isEmpty, "\(line): \(run.errors)")
    }
    let forced = try shell("cat a | \(strace) - null: --via splice", in: here)
    #expect(forced.status == 74 && forced.errors.hasPrefix("splice: pipe: use: "), "\(forced.errors)")
  }

  @Test func `a start without descriptors empties nothing and runs nothing`() throws {
    try passes(
      """
      content = os.urandom(300000); open('a', 'wb').write(content)
      program = 'exec:touch ran; cat >/dev/null'
      lone = [(['keep1'], ['--via', 'splice'])]
      for sinks, more in [(['keep1', 'keep2'], []), (['keep1'], ['--buffer', '1M']), (['keep1', program], ['--buffer', '1M']), *lone]:
          files = [sink for sink in sinks if sink != program]
          done = 0
          for limit in range(4 if more == lone[0][1] else 10, 42, 2):
              if os.path.exists('ran'): os.unlink('ran')
              for name in files: open(name, 'wb').write(b'kept')
              p = subprocess.run([splice, 'a', *sinks, *more, '--force'], stderr=subprocess.PIPE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
              got = [open(name, 'rb').read() for name in files]
              if p.returncode == 0:
                  check(got == [content] * len(files), limit, p)
                  done += 1
              else:
                  check(p.returncode in (66, 73, 74) and got == [b'kept'] * len(files) and not os.path.exists('ran'), sinks, limit, p)
          check(done > 0)
      """, in: here)
  }

  @Test func `a start without descriptors is no clean end for a peer`() throws {
    try passes(
      """
      content = os.urandom(300000); open('a', 'wb').write(content)
      def serve(s):
          c, _ = s.accept(); c.settimeout(20)
          try: return all_of(c)
          except ConnectionResetError: return None
          finally: c.close()
      for more in ([], ['--buffer', '1M']):
          done = 0
          for limit in range(14, 62, 3):
              open('keep', 'wb').write(b'kept')
              peers = [listen() for _ in range(2)]
              for s, _ in peers: s.settimeout(20)
              served = [in_thread(serve, s) for s, _ in peers]
              p = start('a', *[word for _, word in peers], 'keep', *more, '--force', preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
              said = p.stderr.read(); status = p.wait(20)
              # Whoever was not connected to hears of this.
              for s, _ in peers: c = socket.create_connection(s.getsockname()); c.sendall(b'nobody came'); c.close()
              got = [join() for join in served]
              kept = open('keep', 'rb').read()
              if status == 0: check(got == [content] * 2 and kept == content, limit, said)
              else: check(all(one in (None, b'nobody came') for one in got) and kept == b'kept', more, limit, status, said)
              done += status == 0
          check(done > 0)
      """, in: here)
  }
}
