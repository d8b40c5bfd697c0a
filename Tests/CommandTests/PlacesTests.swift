// Where bytes are read and written: ranges of a file that others write to, offsets at the limits, links, inherited descriptors.

import TestSupport
import Testing

@Suite(.mayBlock) struct PlacesTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a copy into a range keeps what another process writes behind it`() throws {
    try passes(
      """
      # A hole at the end, which the sink is to have as well.
      with open('source', 'wb') as f: f.write(b'a' * 4096); f.truncate(1 << 20)
      words = [splice, 'source', 'sink', '--sink-offset', '0']
      def strace(log, *more):
          open('sink', 'wb').close(); open(log, 'w').close()
          return subprocess.Popen(['strace', '-D', '-o', log, '-P', 'sink', '-e', 'trace=newfstatat,fstat,pwrite64,ftruncate', *more, *words])
      check(strace('first').wait(30) == 0)
      # -D: strace is no child of ours, and writes its last line when the command has ended.
      until(lambda: 'exited with 0' in open('first').read())
      calls = [line for line in open('first') if line[0].isalpha()]
      last = max(n for n, line in enumerate(calls) if 'stat' in line.split('(')[0])
      check(last < len(calls) - 1, calls)
      # Another process writes between the last look at the size and what makes the hole.
      p = strace('second', '-e', 'inject=newfstatat,fstat:signal=STOP:when=%d' % sum('stat' in c.split('(')[0] for c in calls))
      until(lambda: 'stopped by SIGSTOP' in open('second').read())
      check(os.stat('sink').st_size == 4096)
      with open('sink', 'r+b') as f: f.seek(1 << 20); f.write(b'b' * 4096)
      p.send_signal(signal.SIGCONT)
      check(p.wait(30) == 0)
      check(open('sink', 'rb').read() == b'a' * 4096 + bytes((1 << 20) - 4096) + b'b' * 4096, os.stat('sink').st_size)
      """, in: here)
  }

  @Test func `a range that goes past the largest offset is refused by the sink`() throws {
    // A file system that has files as large as an offset can be.
    try passes(
      """
      import tempfile
      open('data', 'wb').write(b'x' * 1000)
      with open('hole', 'wb') as f: f.truncate(1 << 20)
      with tempfile.TemporaryDirectory(dir='/dev/shm') as memory:
          for source in ('data', 'hole'):
              p = subprocess.run([splice, source, memory + '/sink', '--sink-offset', str((1 << 63) - 1)], stderr=subprocess.PIPE)
              check(p.returncode == 74 and b': write: ' in p.stderr, source, p)
      """, in: here)
  }

  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `a descriptor that is named behind an equals sign is an inherited one`(_ option: String) throws {
    let run = try shell("echo text | $splice - null: \(option)=fd:5 5> sink && cat sink", in: here)
    #expect(run.status == 0 && run.errors.isEmpty && run.text == "text\n", "\(run.errors)")
  }

  @Test func `a refused start leaves no target of a link`() throws {
    try passes(
      """
      def run(*words): return subprocess.run([splice, *words], stderr=subprocess.PIPE).returncode
      open('small', 'w').write('small'); os.mkdir('d')
      os.symlink('target', 'link'); os.symlink('d/second', 'first'); os.symlink('../other', 'd/second'); os.symlink(os.path.abspath('third'), 'absolute')
      os.symlink('loop', 'loop'); os.symlink('none/x', 'astray')
      for link, target in (('link', 'target'), ('first', 'other'), ('absolute', 'third')):
          check(run('small', link, '/no/such') == 73 and not os.path.lexists(target) and os.path.islink(link), link)
          check(run('small', link) == 0 and open(target).read() == 'small' and os.path.islink(link), link)
          # One that was there stays, empty or not.
          open(target, 'w').close()
          check(run('small', link, '/no/such') == 73 and os.path.exists(target), link)
      check(run('small', 'loop') == 73 and run('small', 'astray') == 73)
      """, in: here)
  }

  @Test func `a source that cannot be read from its offset is reported before anything is made`() throws {
    let offset = try shell("echo text > a; : > b; $splice a b --resume --offset 99999", in: here)
    #expect(offset.status == 64)
    #expect(
      offset.errors.hasPrefix("splice: a: seek: the offset 99999 is past the end, at 5\n"), "\(offset.errors)"
    )
    let directory = try shell("$splice - sink < .; status=$?; ls sink; exit $status", in: here)
    #expect(directory.status == 66)
    #expect(directory.errors.hasPrefix("splice: -: open: Is a directory\n"), "\(directory.errors)")
    #expect(directory.text.isEmpty)
    let named = try shell("$splice fd:5 sink 5< .; status=$?; ls sink; exit $status", in: here)
    #expect(named.status == 66 && named.text.isEmpty)
  }

  @Test func `a note says that holes are filled for several sinks`() throws {
    let run = try shell("truncate -s 1M a; $splice a b c --explain; $splice copy --help", in: here)
    #expect(run.status == 0)
    #expect(run.errors.contains("for several sinks, holes are written as zeros"), "\(run.errors)")
    #expect(
      run.text.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(
        "holes are written as zeros"))
    #expect(
      try !shell("$splice a b --explain; cat a | $splice - b c --explain", in: here).errors.contains("zeros"))
  }
}
