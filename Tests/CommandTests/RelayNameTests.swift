// `splice relay` and the names of its upstreams: resolvers that hang, names with several addresses.

import TestSupport
import Testing

/// `getaddrinfo` as the file `names` says: a name and its addresses a line. A name without one is never answered.
private let names = """
  #define _GNU_SOURCE
  #include <dlfcn.h>
  #include <netdb.h>
  #include <stdio.h>
  #include <string.h>
  #include <unistd.h>
  typedef int (*resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **answer) {
    resolver real = (resolver)dlsym(RTLD_NEXT, "getaddrinfo");
    char line[1000], *rest, *word;
    FILE *file = fopen("names", "r");
    while (file && node && fgets(line, sizeof line, file)) {
      if (strcmp(strtok_r(line, " \\n", &rest), node)) continue;
      fclose(file);
      struct addrinfo **end = answer;
      *answer = NULL;
      while ((word = strtok_r(NULL, " \\n", &rest))) {
        int status = real(word, service, hints, end);
        if (status) return status;
        end = &(*end)->ai_next;
      }
      while (!*answer) pause();
      return 0;
    }
    if (file) fclose(file);
    return real(node, service, hints, answer);
  }
  """

/// A program as for `passes`, in which `known(name=[addresses])` says what names mean to a program that is started with `env=resolver`, and `hole(place)`
/// gives a listener of that place that answers nobody.
private func resolves(_ program: String) throws {
  let place = try TemporaryDirectory()
  try place.write("names.c", Array(names.utf8))
  let prelude = """
    subprocess.run(['clang', '-shared', '-fPIC', '-o', 'names.so', 'names.c'], check=True)
    resolver = {**os.environ, 'LD_PRELOAD': os.path.abspath('names.so')}
    def known(**names):
        open('new', 'w').write(''.join(' '.join([name, *places]) + '\\n' for name, places in names.items())); os.rename('new', 'names')
    def resolving(process):
        count = 0
        for thread in os.listdir('/proc/%d/task' % process):
            try: count += 'resolver' in open('/proc/%d/task/%s/comm' % (process, thread)).read()
            except OSError: pass  # it has just ended
        return count
    crowds = []
    def hole(place):
        full = upstream(0, where=place)
        for _ in range(4):
            s = socket.socket(); s.setblocking(False); s.connect_ex(full.getsockname()); crowds.append(s)
        crowds.append(full)
        return full

    """
  try passes(prelude + program, in: place)
}

@Suite(.mayBlock) struct RelayNameTests {
  @Test func `a resolver that hangs delays nothing else`() throws {
    try resolves(
      """
      first = upstream(backlog=1000); port = first.getsockname()[1]
      other, moved = upstream(backlog=1000, where=('127.0.0.2', port)), upstream(backlog=1000, where=('127.0.0.3', port))
      known(hangs=['127.0.0.1'], moves=['127.0.0.2'])
      r = Relay('--threads', '1', '--health-interval', '50ms', upstreams=['hangs:%d' % port, 'moves:%d' % port], env=resolver)
      for s in (first, other): s.accept()[0].close()
      known(hangs=[], moves=['127.0.0.3'])
      # The other name is looked up, and both are checked, while the one is not answered.
      moved.accept()[0].close()
      for _ in range(3):
          for s in (first, moved): s.accept()[0].close()
      # One thread a name, however long its lookup takes.
      check(1 <= resolving(r.process.pid) <= 2, resolving(r.process.pid))
      begin = time.monotonic()
      check(r.stop() == 0)
      check(time.monotonic() - begin < 10, 'too late', time.monotonic() - begin)
      """)
  }

  @Test func `a resolver that hangs at the start does not hold the exit`() throws {
    try resolves(
      """
      known(hangs=[], here=['127.0.0.1'])
      for words in [
          ['127.0.0.1:0', 'here:80', 'hangs:80', 'hangs:81'], ['127.0.0.1:0', 'here:80', 'unix:there', 'hangs:81'],
          ['hangs:0', 'here:80'], ['unix:path', 'here:80', '--admin', 'hangs:0'],
      ]:
          p = subprocess.Popen([splice, 'relay', *words], stderr=subprocess.PIPE, env=resolver)
          atexit.register(p.kill)
          until(lambda: resolving(p.pid) > 0, 'it looks the names up')
          p.send_signal(signal.SIGTERM)
          check(p.wait(20) == 143, words, p.returncode)
          check(not os.path.exists('path'))
      """)
  }

  @Test func `the next address is begun after a short while`() throws {
    try resolves(
      """
      good = upstream(); port = good.getsockname()[1]
      hole(('127.0.0.2', port)); hole(('127.0.0.3', port))
      # 127.0.0.4 refuses.
      known(many=['127.0.0.2', '127.0.0.4', '127.0.0.3', '127.0.0.1'])
      r = Relay('--threads', '1', '--connect-timeout', '30s', upstreams=['many:%d' % port], env=resolver)
      for turn in range(3):
          begin = time.monotonic()
          client, far = r.connect(), good.accept()[0]
          took = time.monotonic() - begin
          check(0.4 < took < 15, 'two head starts of 250 ms', took)
          far.settimeout(20); client.sendall(b'x'); check(far.recv(1) == b'x'); client.close(); far.close()
          check(r.ended()['why'] == 'end')
      # No more descriptors than before: those that lost are closed.
      before = r.descriptors()
      for turn in range(4):
          client, far = r.connect(), good.accept()[0]
          client.close(); far.close(); r.ended()
      until(lambda: r.descriptors() <= before, 'descriptors', before, r.descriptors())
      check(r.stop() == 0)
      # The same for the command.
      sink = subprocess.Popen([splice, 'tcp:many:%d' % port, '-'], stdout=subprocess.PIPE, env=resolver); atexit.register(sink.kill)
      begin = time.monotonic(); far, _ = good.accept()
      check(time.monotonic() - begin < 15)
      far.sendall(b'hello'); far.close()
      check(sink.communicate(timeout=20)[0] == b'hello' and sink.returncode == 0)
      # All refuse: said at once.
      known(many=['127.0.0.%d' % n for n in range(4, 84)])
      begin = time.monotonic()
      p = subprocess.run([splice, 'tcp:many:%d' % port, '-'], stderr=subprocess.PIPE, env=resolver, timeout=20)
      check(p.returncode == 66 and b'refused' in p.stderr and time.monotonic() - begin < 15, p, time.monotonic() - begin)
      """)
  }

  /// Each client needs two sockets, and for as long as addresses are tried some more.
  @Test func `a shortage of descriptors in a race is no fault of the upstream`() throws {
    try resolves(
      """
      good = upstream(400); port = good.getsockname()[1]
      hole(('127.0.0.2', port)); hole(('127.0.0.3', port))
      known(many=['127.0.0.2', '127.0.0.3', '127.0.0.1'])
      r = Relay('--threads', '1', '--connect-timeout', '20s', upstreams=['many:%d' % port], env=resolver, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150)))
      clients = [r.connect() for _ in range(40)]
      for c in clients: c.sendall(b'x')
      def serve():
          for _ in clients:
              far, _ = good.accept(); far.settimeout(20)
              far.recv(1); far.sendall(b'y'); far.close()
      served = in_thread(serve)
      for c in clients:
          check(c.recv(1) == b'y'); c.close()
      served()
      check(r.stop() == 0)
      check(not [line for line in r.said if 'upstream is down' in line], r.said)
      """)
  }

  @Test func `the connect timeout is one for all addresses`() throws {
    try resolves(
      """
      first = hole(('127.0.0.1', 0)); port = first.getsockname()[1]
      holes = ['127.0.0.%d' % n for n in range(2, 32)]
      for host in holes: hole((host, port))
      known(many=['127.0.0.1', *holes])
      here = upstream()
      r = Relay('--threads', '1', '--connect-timeout', '600ms', upstreams=['many:%d' % port, here], env=resolver)
      begin = time.monotonic()
      client = r.connect(); far, _ = here.accept()
      took = time.monotonic() - begin
      check(0.5 < took < 10, 'one timeout', took)
      check('timed out' in r.line('upstream is down'))
      client.close(); far.close()
      check(r.stop() == 0)
      """)
  }
}
