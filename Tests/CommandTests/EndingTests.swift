// How the command ends: by signals, by its idle timeout, and when what it has to say cannot be said.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct EndingTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `the idle timeout bounds every wait`() throws {
    try passes(
      """
      def gives_up(*words, says, status=74, **more):
          began = time.monotonic()
          p = start(*words, '--idle-timeout', '300ms', **more)
          check(p.wait(20) == status, words, p.returncode)
          took = time.monotonic() - began
          check(0.25 < took < 15, words, took)
          said = p.stderr.read()
          check(said == says + b'\\n', words, said)
      os.mkfifo('in'); os.mkfifo('out'); open('a', 'wb').write(b'a' * 100)
      gives_up('in', '-', says=b'splice: in: open: no peer for 300ms')
      gives_up('a', 'out', says=b'splice: out: open: no peer for 300ms')
      gives_up('tcp-listen:0', '-', says=b'splice: tcp-listen:0: accept: no peer for 300ms')
      gives_up('a', 'unix-listen:s', says=b'splice: unix-listen:s: accept: no peer for 300ms')
      check(not os.path.exists('s'))
      gives_up('join', 'tcp-listen:0', 'null:', says=b'splice: tcp-listen:0: accept: no peer for 300ms')
      # A backlog that is full answers nobody.
      s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)
      held = []
      for _ in range(8):
          c = socket.socket(); c.setblocking(False); c.connect_ex(s.getsockname()); held.append(c)
      word = 'tcp:127.0.0.1:%d' % s.getsockname()[1]
      gives_up(word, '-', says=b'splice: %s: connect: no answer for 300ms' % word.encode())
      gives_up('join', '-', word, says=b'splice: %s: connect: no answer for 300ms' % word.encode())
      u = socket.socket(socket.AF_UNIX); u.bind('full'); u.listen(0)
      for _ in range(2):
          c = socket.socket(socket.AF_UNIX); c.setblocking(False); c.connect_ex('full'); held.append(c)
      gives_up('unix:full', '-', says=b'splice: unix:full: connect: no answer for 300ms')
      # The resolver waits for its configuration.
      began = time.monotonic()
      p = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-P', '/etc/resolv.conf', '-e', 'trace=openat', '-e',
          'inject=openat:delay_enter=8000000', splice, 'tcp:no.such.host.invalid:1', '-', '--idle-timeout', '300ms'], stderr=subprocess.PIPE)
      said = p.stderr.readline(); took = time.monotonic() - began; p.kill(); p.wait()
      check(said.startswith(b'splice: tcp:no.such.host.invalid:1: resolve: ') and took < 5, said, took)
      # A peer that never ends has been heard for long enough.
      s, word = listen()
      began = time.monotonic()
      p = start('a', word, '--idle-timeout', '300ms'); c, _ = s.accept()
      check(p.wait(20) == 0 and time.monotonic() - began < 4)
      """, in: here)
  }

  @Test func `programs that do not end are told, and then ended`() throws {
    try passes(
      """
      def run(*words, says, status=74):
          began = time.monotonic()
          p = start(*words, '--idle-timeout', '300ms', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
          check(p.wait(20) == status, words, p.returncode)
          took = time.monotonic() - began
          check(took < 8, words, took)
          # Nobody is left who holds our standard error.
          said = p.stderr.read()
          check(says in said and time.monotonic() - began < 8, words, said)
      run('null:', 'exec:cat; echo told >out; exec sleep 25', says=b'exec:cat; echo told >out; exec sleep 25: run: has not ended for 300ms')
      run('exec:exec >&-; sleep 25; true', 'null:', says=b'exec:exec >&-; sleep 25; true: run: has not ended for 300ms')
      run('null:', "exec:trap 'echo told >told; exit' TERM; cat; while :; do sleep 0.05; done", says=b': run: has not ended for 300ms')
      check(open('told').read() == 'told\\n')
      run('null:', "exec:trap '' TERM; cat; sleep 25; sleep 25", says=b': run: has not ended for 300ms')
      run('join', '-', "exec:trap '' TERM; exec >&-; cat; sleep 25; sleep 25", says=b': run: has not ended for 300ms')
      # One that ends in time is waited for.
      p = start('null:', 'exec:cat; sleep 0.3; exit 3', '--idle-timeout', '5s')
      check(p.wait(20) == 74 and b'ended with status 3' in p.stderr.read())
      """, in: here)
  }

  @Test(arguments: [("QUIT", ""), ("HUP", ""), ("QUIT", "join"), ("HUP", "join")])
  func `a signal that ends splice leaves no socket file`(_ signal: String, _ subcommand: String) throws {
    try passes(
      """
      word = '\(subcommand)'
      p = start(*([word] if word else []), 'unix-listen:s', 'null:', '--explain', '--stats', 'text')
      check(b'listening' in p.stderr.readline())
      p.send_signal(signal.SIG\(signal))
      check(p.wait(20) == -signal.SIG\(signal), p.returncode)
      said = p.stderr.read()
      check(b'crashed' not in said and b'0 bytes received' in said, said)
      check(not os.path.exists('s'))
      # In the middle of a copy.
      p = start('zero:', '-', stdout=subprocess.PIPE); p.stdout.read(10)
      p.send_signal(signal.SIG\(signal))
      check(p.wait(20) == -signal.SIG\(signal), p.returncode)
      check(p.stderr.read() == b'')
      # As nohup begins it, or a script in the background.
      p = start('-', '-', preexec_fn=lambda: signal.signal(signal.SIG\(signal), signal.SIG_IGN), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
      p.stdin.write(b'x'); p.stdin.flush(); p.stdout.read(1); p.send_signal(signal.SIG\(signal)); p.stdin.close()
      check(p.wait(20) == 0)
      """, in: here)
  }

  @Test func `a relay ends at SIGQUIT, and only what it made is removed`() throws {
    try passes(
      """
      r = Relay(upstreams=[upstream()], listen='unix:r')
      check(r.stop(signal.SIGQUIT) == 0 and not any('crashed' in line for line in r.said))
      check(not os.path.exists('r'))
      # Another has taken the name meanwhile.
      p = start('unix-listen:s', 'null:', '--explain'); check(b'listening' in p.stderr.readline())
      os.rename('s', 'moved'); open('s', 'w').write('not yours')
      p.send_signal(signal.SIGTERM); check(p.wait(20) == 143)
      check(open('s').read() == 'not yours' and os.path.exists('moved'))
      # A lost reader ends it by SIGPIPE, which leaves nothing behind either.
      p = start('unix-listen:t', '-', '--explain', stdout=(w := os.pipe())[1]); os.close(w[1]); os.close(w[0])
      check(b'listening' in p.stderr.readline())
      c = socket.socket(socket.AF_UNIX); c.connect('t'); c.sendall(b'x')
      check(p.wait(20) == -signal.SIGPIPE and not os.path.exists('t'), p.returncode)
      """, in: here)
  }

  @Test func `what was asked for and cannot be said is a failure`() throws {
    try passes(
      """
      open('a', 'wb').write(b'a' * 100)
      def status(*words, stderr):
          p = subprocess.Popen([splice, *words], stderr=stderr, preexec_fn=(lambda: os.close(2)) if stderr is None else None)
          return p.wait(20)
      for more in (['digest:sha256'], ['b', '--stats', 'json'], ['b', '--stats', 'text'], ['b', '--explain'], ['b', 'digest:sha256', '--stats', 'json']):
          check(status('a', *more, stderr=None) == 74, 'closed', more)
          with open('/dev/full', 'wb') as full: check(status('a', *more, stderr=full) == 74, 'full', more)
          read, write = os.pipe(); os.close(read)
          check(status('a', *more, stderr=write) == 74, 'nobody reads', more); os.close(write)
          # One that is full and never read is waited for, and not for ever.
          read, write = os.pipe(); os.set_blocking(write, False)
          try:
              while True: os.write(write, bytes(4096))
          except BlockingIOError: os.set_blocking(write, True)
          check(status('a', *more, stderr=write) == 74, 'not read', more); os.close(write); os.close(read)
      check(status('a', 'b', stderr=None) == 0 and open('b', 'rb').read() == b'a' * 100)
      with open('/dev/full', 'wb') as full:
          check(status('a', 'b', '--progress', 'always', stderr=full) == 0)
          check(status('/no/such', 'b', '--stats', 'json', stderr=full) == 66)
          check(status('join', '-', 'exec:cat', '--stats', 'json', stderr=full) == 74)
          # Help is said on standard output.
          p = subprocess.Popen([splice, '--help'], stdout=full); check(p.wait(20) == 74, p.returncode)
      """, in: here)
  }

  @Test func `SIGUSR1 from the first call on ends nothing`() throws {
    try passes(
      """
      open('a', 'wb').write(b'a' * 100)
      # Signals at one call after the other of the first that the program makes by itself.
      for call in ('fcntl', 'eventfd2', 'newfstatat,fstat', 'openat'):
          trace = subprocess.run(['strace', '-qq', '-e', 'trace=rt_sigaction,' + call, splice, 'a', 'b'], stderr=subprocess.PIPE, text=True)
          lines = [l for l in trace.stderr.splitlines() if '(' in l]
          first = next(n for n, l in enumerate(lines) if 'SIGUSR1, {sa_handler=0x' in l)
          before = sum(not l.startswith('rt_sigaction') for l in lines[:first])
          after = sum(not l.startswith('rt_sigaction') for l in lines[first:])
          for when in range(before + 1, min(before + 8, before + after + 1)):
              p = subprocess.run(['strace', '-qq', '-o', '/dev/null', '-e', 'trace=' + call,
                  '-e', 'inject=%s:signal=SIGUSR1:when=%d' % (call, when), splice, 'a', 'b'], stderr=subprocess.PIPE)
              check(p.returncode == 0, call, when, p)
      # It stands before the descriptors are looked at, which is the first thing there is to do.
      trace = subprocess.run(['strace', '-qq', '-e', 'trace=rt_sigaction,fcntl', splice, 'a', 'b'], stderr=subprocess.PIPE, text=True).stderr
      check(trace.index('SIGUSR1, {sa_handler=0x') < trace.index('F_GETFL'), trace)
      # And in the relay.
      r = Relay(upstreams=[upstream()])
      r.process.send_signal(signal.SIGUSR1)
      c = r.connect(); far, _ = r.upstreams[0].accept(); far.close(); check(c.recv(1) == b''); c.close()
      check(r.stop() == 0)
      """, in: here)
  }

  @Test func `a second signal leaves no program behind`() throws {
    try passes(
      """
      def is_gone(process):
          try:
              with open('/proc/%d/stat' % process) as f: return f.read().rsplit(') ')[1][0] in 'ZX'
          except FileNotFoundError: return True
      def program(name):
          until(lambda: os.path.exists(name) and open(name).read().endswith('\\n'))
          return int(open(name).read())
      # Both signals are there before the first one has been answered.
      for words in (['-', 'exec:echo $$ >p; exec sleep 60'], ['exec:echo $$ >p; exec sleep 60', '-'], ['-', 'null:', '--skip-slow', 'exec:echo $$ >p; exec sleep 60'],
          ['join', '-', 'exec:echo $$ >p; exec sleep 60']):
          if os.path.exists('p'): os.unlink('p')
          p = start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
          child = program('p')
          p.send_signal(signal.SIGSTOP); p.send_signal(signal.SIGTERM); p.send_signal(signal.SIGINT); p.send_signal(signal.SIGCONT)
          check(p.wait(20) in (-signal.SIGTERM, -signal.SIGINT), words, p.returncode)
          until(lambda: is_gone(child), words)
      # A relay that drains.
      r = Relay('--tap-upstream', 'exec:echo $$ >tap; exec sleep 60', upstreams=[upstream()])
      held = r.pair(); child = program('tap')
      r.process.send_signal(signal.SIGTERM); r.line('drain')
      check(r.stop() == -signal.SIGTERM)
      until(lambda: is_gone(child), 'tap')
      """, in: here)
  }
}
