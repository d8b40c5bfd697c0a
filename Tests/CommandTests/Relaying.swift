// What the tests of the relay share: a program in Python between whose sockets one stands.

import TestSupport
import Testing

/// A program in Python between whose sockets a relay stands.
///
/// `Relay(options..., upstreams=[...])` starts one; `connect()` gives a client, `pair()` a client and what the upstream accepted for it,
/// `ended()` what the log says of the next connection that ends, `stop()` ends it and gives its status.
func relay(_ program: String, in directory: TemporaryDirectory? = nil) throws -> Run {
  let prelude = """
    import atexit, queue, re, resource, signal, threading
    def upstream(backlog=100, family=socket.AF_INET, where=('127.0.0.1', 0)):
        s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(where); s.listen(backlog); s.settimeout(20); return s
    def name(s):
        return '127.0.0.1:%d' % s.getsockname()[1]
    class Relay:
        def __init__(self, *options, upstreams, listen='127.0.0.1:0', wrap=(), says='listening', **more):
            self.upstreams = upstreams
            words = [u if isinstance(u, str) else name(u) for u in upstreams]
            self.process = subprocess.Popen([*wrap, splice, 'relay', *options, listen, *words], stderr=subprocess.PIPE, start_new_session=True, **more)
            atexit.register(self.over)
            self.lines = queue.Queue()
            self.said = []
            threading.Thread(target=self.read, daemon=True).start()
            line = self.line(says)
            self.port = int(line.split(': listening')[0].rsplit(':', 1)[1]) if 'unix:' not in line else None
        def read(self):
            for line in self.process.stderr:
                self.lines.put(line.decode())
            self.lines.put(None)
        def line(self, word):
            while True:
                line = self.lines.get(timeout=20)
                check(line is not None, 'the relay ended before it said', word, self.said)
                self.said.append(line)
                if word in line: return line
        def ended(self):
            line = self.line('] connection')
            return dict(re.findall(r'(\\w+)=(.*?)(?= \\w+=| \\[Splice)', line))
        def connect(self):
            s = socket.create_connection(('127.0.0.1', self.port)); s.settimeout(20); return s
        def pair(self, upstream=0):
            client = self.connect()
            far, _ = self.upstreams[upstream].accept()
            far.settimeout(20)
            return client, far
        def seconds(self):
            with open('/proc/%d/stat' % self.process.pid) as f: words = f.read().rsplit(') ')[1].split()
            return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')
        def descriptors(self):
            return len(os.listdir('/proc/%d/fd' % self.process.pid))
        def sockets(self):
            def what(d):
                try: return os.readlink('/proc/%d/fd/%s' % (self.process.pid, d))
                except FileNotFoundError: return ''
            return sum(what(d).startswith('socket:') for d in os.listdir('/proc/%d/fd' % self.process.pid))
        def stop(self, number=signal.SIGTERM):
            self.process.send_signal(number)
            return self.process.wait(20)
        def over(self):
            try: os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError: pass
    def all_of(s):
        content = b''
        while piece := s.recv(1 << 20): content += piece
        return content
    def is_reset(s):
        try:
            while s.recv(1 << 16): pass
        except ConnectionResetError: return True
        return False
    def is_cut(connect):
        # Reset, which may be seen before the connection is.
        try: return is_reset(connect())
        except ConnectionResetError: return True
    def in_thread(body, *words):
        out = []
        t = threading.Thread(target=lambda: out.append(body(*words)), daemon=True); t.start()
        def join():
            t.join(30); check(out, 'a thread did not end'); return out[0]
        return join
    def inside(sysctl={}):
        # Goes on in a network namespace of its own, with its settings.
        if 'inside' not in os.environ:
            sys.exit(subprocess.call(['unshare', '-rn', sys.executable, *sys.orig_argv[1:]], env={**os.environ, 'inside': '1'}))
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        for key, value in sysctl.items(): open('/proc/sys/' + key, 'w').write(value)
    def until(condition, *what):
        end = time.monotonic() + 20
        while not condition():
            check(time.monotonic() < end, 'in vain', *what); time.sleep(0.005)

    """
  return try python(prelude + program, in: directory)
}

/// Such a program, which has to end well.
func passes(_ program: String, in directory: TemporaryDirectory? = nil) throws {
  let run = try relay(program, in: directory)
  #expect(run.status == 0, "\(run.errors)")
}
