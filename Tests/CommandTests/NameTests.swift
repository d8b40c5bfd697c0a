// Names are bytes: each names one file, whatever its bytes are, and none of them acts on a terminal or forges a line.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct NameTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `names that are not text are two files, and not one`() throws {
    try passes(
      """
      def run(*words, status=0, **more):
          p = subprocess.run([splice, *words], stderr=subprocess.PIPE, **more)
          check(p.returncode == status, words, p); return p
      # Invalid UTF-8, its parts, composed and decomposed, what stands for bytes elsewhere, control characters.
      names = [b'c\\xff', b'c\\xfe', b'\\xc3', b'\\xed\\xb3\\xbf', 'c\\u00e9'.encode(), 'ce\\u0301'.encode(),
        '\\U0010feff\\U0010fe80\\U0010ff80'.encode(), b'a\\nb\\x1b[31m\\x7f', bytes(b for b in range(1, 256) if b != 47)]
      for number, name in enumerate(names): open(name, 'wb').write(b'%d' % number)
      for number, name in enumerate(names):
          run(b'./' + name, 'to'); check(open('to', 'rb').read() == b'%d' % number, name)
          run(b'file:' + name, 'to'); check(open('to', 'rb').read() == b'%d' % number, name)
      for name in names: os.unlink(name)
      open('a', 'wb').write(b'a')
      run('a', *[b'file:' + n for n in names])
      for name in names: check(open(name, 'rb').read() == b'a', name)
      for name in names:
          run('a', b'append:' + name); check(open(name, 'rb').read() == b'aa', name)
          run('a', b'to', '--force', '--skip-slow', b'file:' + name); check(open(name, 'rb').read() == b'a', name)
          run('a', b'exec:cat > "to' + name.replace(b'\"', b'').replace(b'`', b'').replace(b'$', b'').replace(b'\\\\', b'') + b'"')
      run('a', b'exec:cat > c\\xffd'); check(open(b'c\\xffd', 'rb').read() == b'a')
      check(run(b'exec:printf "\\xff\\t\\xfe\\n"', '-', stdout=subprocess.PIPE).stdout == b'\\xff\\t\\xfe\\n')
      """, in: here)
  }

  @Test func `names of unix sockets are bytes`() throws {
    try passes(
      """
      for name in (b's\\xff', b's\\n\\x1b', b'@splice-%d-\\xfe' % os.getpid()):
          p = start(b'unix-listen:' + name, '-', '--explain', stdout=subprocess.PIPE)
          line = p.stderr.readline()
          check(b'listening' in line and b'\\x1b' not in line, line)
          s = socket.socket(socket.AF_UNIX); s.settimeout(20)
          s.connect(b'\\0' + name[1:] if name[:1] == b'@' else name); s.sendall(b'hello'); s.close()
          check(p.wait(20) == 0 and p.stdout.read() == b'hello', p.stderr.read())
          check(not os.path.exists(name), 'left')
          up = socket.socket(socket.AF_UNIX); up.bind(b'\\0' + name[1:] if name[:1] == b'@' else name); up.listen(); up.settimeout(20)
          p = start('null:', b'unix:' + name); c, _ = up.accept(); c.close()
          check(p.wait(20) == 0, p.stderr.read())
          # Behind a relay as well.
          r = Relay(upstreams=[os.fsdecode(b'unix:' + name)], listen=os.fsdecode(b'unix:r' + name))
          c = socket.socket(socket.AF_UNIX); c.settimeout(20); c.connect(b'r' + name)
          far, _ = up.accept(); far.sendall(b'through'); far.close()
          check(all_of(c) == b'through'); c.close()
          check(r.stop() == 0); up.close()
          check(not os.path.exists(b'r' + name), 'left')
      """, in: here)
  }

  @Test func `nothing in a message acts on a terminal`() throws {
    try passes(
      """
      evil = b'x\\n\\x1b]0;forged\\x07\\xff\\x9b\\xc2\\x9b\\xe2\\x80\\xae\\\\'
      shown = b'x\\\\n\\\\u{1b}]0;forged\\\\u{7}\\\\xff\\\\x9b\\\\u{9b}\\\\u{202e}\\\\\\\\'
      def said(*words, status, **more):
          p = subprocess.run([splice, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **more)
          check(p.returncode == status, words, p)
          for line in (p.stderr + p.stdout).splitlines():
              check(not any(c < 32 or c == 127 for c in line), line)
              check(not any(0x80 <= ord(c) < 0xa0 or c in '\\u202e\\ufffd' for c in line.decode()), line)
          return p.stderr
      check(said(b'/no/' + evil, '-', status=66) == b'splice: /no/' + shown + b': open: No such file or directory\\n')
      check(said('null:', b'/no/' + evil, status=73) == b'splice: /no/' + shown + b': open: No such file or directory\\n')
      check(said(b'exec:exit 3 #' + evil, 'null:', status=74) == b'splice: exec:exit 3 #' + shown + b': run: ended with status 3\\n')
      open(evil, 'wb').write(b'a' * 10)
      check(shown in said(evil, 'null:', b'x' + evil, '--explain', '--stats', 'text', '--progress', 'always', status=0))
      # One line of JSON, with the name in it: a byte that is no UTF-8 is U+10FExx.
      import json
      line = said(evil, b'x' + evil, '--stats', 'json', status=0)
      check(line.count(b'\\n') == 1, line)
      name = json.loads(line)['source']['endpoint']
      check(b''.join(bytes([ord(c) - 0x10fe00]) if 0x10fe00 <= ord(c) <= 0x10feff else c.encode() for c in name) == evil, name)
      # Of wrong usage, too.
      for words in ([b'--' + evil, 'a', 'b'], [b'tcp:' + evil, '-'], ['a', 'b', '--limit', evil], ['join', '-', b'append:' + evil],
          ['a', 'b', 'c', b'--resume' + evil], [b'-' + evil, 'a'], ['relay', b'unix:', evil]):
          said(*words, status=64)
      """, in: here)
  }

  @Test func `digest lines are read by sha256sum`() throws {
    try passes(
      """
      names = [b'plain', b'a b', b'new\\nline', b'back\\\\slash', b'r\\rn', b'\\\\', b'both\\\\\\n', b'\\x1b[31m', b'c\\xff', 'd\\u00e9\\u202e'.encode()]
      lines = []
      for name in names:
          open(name, 'wb').write(b'content of ' + name)
          expected = subprocess.run(['sha256sum', '--', name], stdout=subprocess.PIPE).stdout
          for word in (b'file:' + name, name):
              p = subprocess.run([splice, '--', word, 'digest:sha256'], stderr=subprocess.PIPE)
              check(p.returncode == 0 and p.stderr == expected, word, p.stderr, expected)
          lines.append(p.stderr)
      checked = subprocess.run(['sha256sum', '-c', '--strict', '--status'], input=b''.join(lines))
      check(checked.returncode == 0)
      """, in: here)
  }

  @Test func `a trailing slash names a directory`() throws {
    try passes(
      """
      open('f', 'wb').write(b'content'); os.mkdir('d'); os.symlink('f', 'link')
      for source, sink, status in [('f', 'new/', 73), ('f', 'other//', 73), ('f', 'append:new/', 73), ('f', 'file:new/', 73),
          ('null:', 'f/', 73), ('null:', 'link/', 73), ('f/', '-', 66), ('file:f/', '-', 66), ('link/', '-', 66), ('d/', '-', 66), ('null:', '/', 73)]:
          p = subprocess.run([splice, source, sink], stderr=subprocess.PIPE)
          check(p.returncode == status, source, sink, p)
          check(p.stderr.startswith(b'splice: %s: open: ' % (source if status == 66 else sink).encode()), p.stderr)
          check(sorted(os.listdir('.')) == ['d', 'f', 'link'] and open('f', 'rb').read() == b'content', os.listdir('.'))
      # In a directory that is there, a file of the source's name, as cp makes one.
      for source, sink, made in [('f', 'd', 'd/f'), ('d/f', '.', 'f'), ('file:f', 'file:d/', 'd/f'), (b'f\\xff', 'd/', b'd/f\\xff')]:
          open(source.removeprefix('file:') if isinstance(source, str) else source, 'wb').write(b'content')
          check(subprocess.run([splice, source, sink]).returncode == 0 and open(made, 'rb').read() == b'content', source, sink)
          os.unlink(made); open('f', 'wb').write(b'content')
      check(subprocess.run([splice, 'd/../f', './/g']).returncode == 0 and open('g', 'rb').read() == b'content')
      """, in: here)
  }

  @Test func `a link to nowhere that ends with a slash makes nothing`() throws {
    try passes(
      """
      open('f', 'wb').write(b'content')
      os.symlink('newdir/', 'l'); os.symlink('newdir2///', 'm'); os.symlink('l', 'n')
      for sink in ('l', 'm', 'n', 'append:l', 'append:m'):
          p = subprocess.run([splice, 'f', sink], stderr=subprocess.PIPE)
          check(p.returncode == 73 and p.stderr == b'splice: %s: open: Is a directory\\n' % sink.encode(), p)
          check(sorted(os.listdir('.')) == ['f', 'l', 'm', 'n'], os.listdir('.'))
      """, in: here)
  }
}
