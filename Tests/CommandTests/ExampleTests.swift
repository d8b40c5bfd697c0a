// Every example does what its first lines say, is short, and needs nothing that a client of the library has not.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct ExampleTests {
  static let names = [
    "Backup", "Bridges", "Courier", "Gzip", "HeaderAndFile", "LineCount", "NIOFiles", "Recorder", "TinyRelay",
    "Upload",
  ]

  @Test func `every example is tested`() throws {
    let found = try FileManager.default.contentsOfDirectory(atPath: packageRoot + "/Examples")
    #expect(Set(found) == Set(Self.names + ["CZlib"]))
  }

  @Test(arguments: names)
  func `an example is short and needs nothing special`(_ name: String) throws {
    let text = try String(contentsOfFile: "\(packageRoot)/Examples/\(name)/\(name).swift", encoding: .utf8)
    let lines = text.split(separator: "\n")
    #expect(lines.count < 80)
    for word in [
      "@unchecked", "@testable", "@preconcurrency", "nonisolated(unsafe)", "import Glibc", "import CSplice",
    ] {
      #expect(!text.contains(word), "\(word)")
    }
  }

  @Test func `files over NIO`() throws {
    let place = try TemporaryDirectory()
    try place.write("one", bytes(3_000_000))
    try place.write("two", [])
    let run = try python(
      """
      p = subprocess.Popen(['\(try product("NIOFiles"))', '.'], stdout=subprocess.PIPE)
      where = p.stdout.readline().decode().strip().rsplit(':', 1)
      def client():
          s = socket.create_connection(('127.0.0.1', int(where[1]))); s.settimeout(60); return s
      # Two requests in one, and one in two.
      s = client(); s.sendall(b'one\\ntwo\\no'); f = s.makefile('rb')
      want = open('one', 'rb').read()
      check(f.readline() == b'3000000\\n' and f.read(3000000) == want)
      check(f.readline() == b'0\\n')
      s.sendall(b'ne\\n')
      check(f.readline() == b'3000000\\n' and f.read(3000000) == want)
      s.sendall(b'none\\n'); check(f.read(1) == b'')
      t = client(); t.sendall(b'../one\\n'); check(t.recv(1) == b'')
      p.terminate(); p.wait(60)
      """, in: place)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a viewer that comes late sees everything`() throws {
    let place = try TemporaryDirectory()
    try place.write("source", bytes(4_000_000))
    let run = try python(
      """
      import threading
      p = subprocess.Popen(['\(try product("Recorder"))', 'record'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
      port = int(p.stdout.readline().decode().rsplit(':', 1)[1])
      want = open('source', 'rb').read()
      def viewer(got):
          s = socket.create_connection(('127.0.0.1', port)); s.settimeout(60)
          got.append(s.recv(1)); ready.release()
          while d := s.recv(100_000): got.append(d)
      ready, gots = threading.Semaphore(0), [[], [], []]
      threads = [threading.Thread(target=viewer, args=(got,)) for got in gots]
      p.stdin.write(want[:1000]); p.stdin.flush()
      threads[0].start(); ready.acquire()
      p.stdin.write(want[1000:3_000_000]); p.stdin.flush()
      threads[1].start(); threads[2].start(); ready.acquire(); ready.acquire()
      p.stdin.write(want[3_000_000:]); p.stdin.close()
      for t in threads: t.join(60)
      said = p.stdout.read().decode().splitlines()
      check(p.wait(60) == 0 and all(b''.join(got) == want for got in gots), [sum(map(len, got)) for got in gots], said)
      check(said[-1] == 'recorded 4000000 bytes' and said.count('a viewer has 4000000 bytes') == 3, said)
      check(open('record', 'rb').read() == want)
      """, in: place)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `lines are counted`() throws {
    let place = try TemporaryDirectory()
    let program = try product("LineCount")
    let whole = try shell("seq 200000 | \(program) | tail -1", in: place)
    #expect(whole.status == 0 && whole.text == "200000\n")
    let last = whole.errors.split(separator: "\n").last
    #expect(last?.hasPrefix("200000 lines, ") == true && last?.hasSuffix(" bytes by reference") == true)
    let cut = try shell(
      "(seq 200000; sleep 1) | (\(program); echo $? >status) | head -1; cat status", in: place)
    #expect(cut.text == "1\n74\n", "\(cut.errors)")
    #expect(cut.errors.contains("sink: Broken pipe"))
  }

  @Test func `an upload goes on where it was interrupted`() throws {
    let place = try TemporaryDirectory()
    try place.write("file", bytes(400_001))
    let run = try python(
      """
      import struct, threading
      l = socket.create_server(('127.0.0.1', 0)); l.settimeout(60)
      p = subprocess.Popen(['\(try product("Upload"))', 'file', '127.0.0.1', str(l.getsockname()[1])], stderr=subprocess.PIPE)
      got = b''
      for cut in (100_000, 250_000, None):
          s, _ = l.accept(); s.settimeout(60)
          s.sendall(b'%016x' % len(got))
          while cut is None or len(got) < cut:
              d = s.recv(100_000)
              if not d: break
              got += d
          if cut is not None:
              s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()
      check(got == open('file', 'rb').read(), len(got))
      sum = 14695981039346656037
      for byte in got: sum = ((sum ^ byte) * 1099511628211) % (1 << 64)
      s.sendall(b'%x' % sum); s.close()
      said = p.stderr.read().decode().splitlines()
      check(p.wait(60) == 0 and said[-1] == 'done: %x' % sum and len(said) == 3, said)
      """, in: place)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a backup is whole, or has no name`() throws {
    let place = try TemporaryDirectory()
    let run = try shell(
      """
      mkdir a && head -c 2000000 /dev/urandom >a/b && \(try product("Backup")) a out.tar && mkdir c && tar xf out.tar -C c &&
      cmp a/b c/b && ! \(try product("Backup")) none other.tar && test ! -e other.tar
      """, in: place)
    #expect(run.status == 0, "\(run.text) \(run.errors)")
    #expect(run.errors.hasSuffix("Backup: tar ended with 2\n"), "\(run.errors)")
  }

  @Test func `a courier brings everything`() throws {
    let place = try TemporaryDirectory()
    let run = try python(
      """
      l = socket.create_server(('127.0.0.1', 0)); l.settimeout(60)
      p = subprocess.Popen(['\(try product("Courier"))', '127.0.0.1', str(l.getsockname()[1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
      lines = [b'message %d\\n' % n for n in range(20)]
      # Nobody answers at first.
      where = l.getsockname(); l.close()
      p.stdin.write(b''.join(lines)); p.stdin.close()
      time.sleep(0.1)
      l = socket.create_server(where); l.settimeout(60)
      got = []
      while len(got) < 20:
          s, _ = l.accept(); s.settimeout(60)
          got.append(s.makefile('rb').read()); s.close()
      check(sorted(got) == sorted(lines), got)
      check(p.wait(60) == 0 and p.stdout.read().startswith(b'sent, with '))
      """, in: place)
    #expect(run.status == 0, "\(run.errors)")
  }
}
