// Sinks of --skip-slow and --detach-slow: whatever they do, the copy is neither failed nor delayed by it.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct OptionalSinkTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `an optional sink that cannot be opened fails nothing and delays nothing`(_ option: String) throws {
    try passes(
      """
      import json
      content = os.urandom(3000001)
      open('a', 'wb').write(content); os.mkfifo('fifo'); os.mkfifo('in')
      s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)
      held = []
      for _ in range(8):
          c = socket.socket(); c.setblocking(False); c.connect_ex(s.getsockname()); held.append(c)
      hangs = 'tcp:127.0.0.1:%d' % s.getsockname()[1]
      for sink, act in [('fifo', 'open'), (hangs, 'connect'), ('tcp:127.0.0.1:1', 'connect'), ('tcp-listen:0', 'accept'), ('unix:none', 'connect'),
          ('/no/such/file', 'open'), ('new/', 'open'), ('/no/', 'open'), ('fd:9', 'open'), ('a', 'open'), ('b', 'open'), ('unix-listen:s', 'accept')]:
          for words, given in [(['a', 'b'], None), (['-', 'b'], content)]:
              # From standard input it is a sink like others.
              if (sink, words[0]) == ('a', '-'): continue
              began = time.monotonic()
              p = subprocess.run([splice, *words, '\(option)', sink, '--stats', 'json'], input=given, stderr=subprocess.PIPE, timeout=20)
              took = time.monotonic() - began
              check(p.returncode == 0, sink, p.stderr)
              check(open('b', 'rb').read() == content and open('a', 'rb').read() == content, sink)
              check(took < 15, sink, took)
              report = json.loads(p.stderr.splitlines()[-1])
              check(report['sinks'][0]['delivered'] == len(content), report)
              error = report['sinks'][1]['error']
              check(report['sinks'][1]['delivered'] == 0 and error and error['act'] == act, sink, report)
              check(b'splice: %s: %s: ' % (sink.encode(), act.encode()) in p.stderr, p.stderr)
              check(not os.path.exists('s'))
      """, in: here)
  }

  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `an optional sink that does not end delays the end for a short time`(_ option: String) throws {
    try passes(
      """
      import json
      content = os.urandom(300001)
      def run(name, sink, meanwhile=lambda: None):
          began = time.monotonic()
          p = start('-', name, '\(option)', sink, '--stats', 'json', stdin=subprocess.PIPE)
          held = meanwhile()
          p.stdin.write(content); p.stdin.close()
          said = p.stderr.read(); status = p.wait(20)
          took = time.monotonic() - began
          return status == 0 and took < 18 and open(name, 'rb').read() == content, sink, status, took, said
      def peer(kind, name):
          s, word = listen()
          def meanwhile():
              c, _ = s.accept()
              if kind == 'chatty': c.sendall(b'220 hello' * 1000)
              if kind == 'silent': in_thread(lambda: [None for _ in iter(lambda: c.recv(100000), b'')])
              return c
          return run(name, word, meanwhile)
      # Reads nothing; reads and never ends; greets and never reads.
      runs = [in_thread(peer, kind, 'b%d' % n) for n, kind in enumerate(('stuck', 'silent', 'chatty'))]
      programs = ('cat >/dev/null; sleep 25; true', "trap '' TERM; cat >/dev/null; sleep 25; sleep 25", 'sleep 25; true')
      programs = [in_thread(run, 'c%d' % n, 'exec:' + command) for n, command in enumerate(programs)]
      for join in runs + programs:
          isWell, *more = join()
          check(isWell, *more)
          if join in programs: check(json.loads(more[-1].splitlines()[-1])['sinks'][1]['error'] is not None, more)
      """, in: here)
  }

  @Test func `an optional sink that is there gets everything`() throws {
    try passes(
      """
      import json
      content = os.urandom(200001)
      open('a', 'wb').write(content)
      sum = subprocess.run(['sha256sum', '-'], input=content, stdout=subprocess.PIPE).stdout
      s, word = listen()
      for option in ('--skip-slow', '--detach-slow'):
          for name in 'ce':
              if os.path.exists(name): os.unlink(name)
          accepted = in_thread(lambda: s.accept()[0])
          p = subprocess.Popen([splice, '-', 'b', option, 'c', option, 'append:d', option, 'exec:cat >e', option, word, option, 'digest:sha256', '--stats', 'json'],
              stdin=subprocess.PIPE, stderr=subprocess.PIPE)
          # Nothing comes before all of them are there.
          far = in_thread(all_of, accepted())
          until(lambda: os.path.exists('c') and os.path.exists('e'), 'open')
          said = p.communicate(content, timeout=30)[1]
          check(p.returncode == 0, said)
          check(far() == content)
          for name in 'bce': check(open(name, 'rb').read() == content, name)
          check(said.splitlines()[0] + b'\\n' == sum, said)
          report = json.loads(said.splitlines()[-1])
          check([x['delivered'] for x in report['sinks']] == [len(content)] * 6 and not any(x['error'] or x['skipped'] for x in report['sinks']), report)
      check(open('d', 'rb').read() == content * 2)
      """, in: here)
  }

  @Test func `an optional sink that comes late joins, and what it missed is counted`() throws {
    try passes(
      """
      import json
      os.mkfifo('late')
      # Of a file, too, which the others could read by themselves.
      p = start('-', 'b', '--detach-slow', 'late', '--stats', 'json', stdin=subprocess.PIPE)
      first, second = os.urandom(50000), os.urandom(60000)
      p.stdin.write(first); p.stdin.flush()
      until(lambda: os.path.exists('b') and os.path.getsize('b') == len(first))
      late = open('late', 'rb')
      # It has joined once something more has come: the fifo has a writer then.
      p.stdin.write(second); p.stdin.flush()
      until(lambda: os.path.getsize('b') == len(first) + len(second))
      got, third = b'', os.urandom(1000)
      import select
      while not got:
          p.stdin.write(third); p.stdin.flush()
          if select.select([late], [], [], 0.05)[0]: got = os.read(late.fileno(), 100000)
      p.stdin.close(); got += late.read()
      check(p.wait(20) == 0)
      everything = open('b', 'rb').read()
      check(everything.endswith(got) and len(got) < len(everything), len(got))
      report = json.loads(p.stderr.read().splitlines()[-1])['sinks'][1]
      check(report['delivered'] == len(got) and report['skipped'] == len(everything) - len(got), report)
      """, in: here)
  }

  @Test func `a truncated stream is not a finished one for optional sinks either`() throws {
    try passes(
      """
      s, word = listen(); source, there = listen()
      p = start(there, 'null:', '--skip-slow', word)
      up, _ = source.accept(); down, _ = s.accept(); down.settimeout(20)
      up.sendall(b'x' * 1000); check(len(down.recv(1000, socket.MSG_WAITALL)) == 1000)
      reset(up)
      check(is_reset(down), 'looks finished'); check(p.wait(20) == 74)
      # Ended by a signal.
      p = start(there, 'null:', '--skip-slow', word)
      up, _ = source.accept(); down, _ = s.accept(); down.settimeout(20)
      up.sendall(b'x' * 1000); check(len(down.recv(1000, socket.MSG_WAITALL)) == 1000)
      began = time.monotonic(); p.send_signal(signal.SIGTERM)
      check(is_reset(down), 'looks finished'); check(p.wait(20) == 143 and time.monotonic() - began < 3)
      """, in: here)
  }
}
