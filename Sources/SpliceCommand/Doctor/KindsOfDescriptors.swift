// Each kind of descriptor, made for the occasion and asked in both directions.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// A kind of descriptor, and how it is asked.
struct KindOfDescriptor: Sendable {
  let name: String
  /// What follows when it splices in the directions it has.
  let advice: String
  let ask: @Sendable () throws(Errno) -> (from: Answer, to: Answer)

  init(
    _ name: String, _ advice: String,
    _ ask: @escaping @Sendable () throws(Errno) -> (from: Answer, to: Answer)
  ) {
    (self.name, self.advice, self.ask) = (name, advice, ask)
  }

  /// Asks.
  var row: Row {
    var (from, to) = (Answer.none, Answer.none)
    do throws(Errno) { (from, to) = try ask() } catch { from = .untried("\(error)") }
    return row(from, to)
  }

  /// Asks in a child, for sandboxes that end who makes some call.
  var rowApart: Row {
    switch Row.foundApart({ [row] }) {
    case .success(let rows): rows.first ?? row(.untried("no answer"), .none)
    case .failure(let obstacle): row(.untried(obstacle.description), .none)
    }
  }

  private func row(_ from: Answer, _ to: Answer) -> Row {
    Row(name: name, finding: .ends(from: from, to: to), advice: advice(from, to))
  }

  private func advice(_ from: Answer, _ to: Answer) -> String {
    switch (from, to) {
    case (.untried, .untried), (.untried, .none), (.none, .untried): "not tried"
    case _ where from.isRefused && !to.splices, _ where to.isRefused && !from.splices:
      "copied through memory"
    case (.refuses, _): "copied through memory where bytes come from it"
    case (_, .refuses): "copied through memory where bytes go to it"
    default: advice
    }
  }

  /// All that can be made here, but for files on a disk.
  static let all = memory + pipes + sockets + devices + files
}

// MARK: - Memory and pipes

extension KindOfDescriptor {
  private static let memory = [
    KindOfDescriptor("memory (vmsplice)", "for memory that nobody writes to again") {
      () throws(Errno) in
      let pipe = try TrialPipe()
      let page = unsafe try Syscall.map(Syscall.pageSize)
      // Its own, and unmapped when nobody looks at it any more.
      defer { try? unsafe Syscall.unmap(page) }
      unsafe page.storeBytes(of: Specimen.before, as: UInt8.self)
      do throws(Errno) {
        _ = try pipe.writer.lend { (pipe) throws(Errno) in
          try unsafe Syscall.vmsplice(UnsafeRawBufferPointer(page), into: pipe)
        }
      } catch { return (Answer(error, as: .sink), .none) }
      unsafe page.storeBytes(of: Specimen.after, as: UInt8.self)
      return (.splices(.init(seeing: try pipe.reader.firstByte())), .none)
    },
    KindOfDescriptor("memory file (memfd)", "for bytes that go to many sinks") {
      () throws(Errno) in
      try regularFile { () throws(Errno) in Held(try Syscall.memfd(named: "splice-doctor")) }
    },
    KindOfDescriptor("file on tmpfs", "as fast a source as any") { () throws(Errno) in
      guard let place = UnnamedFile.places.first(where: isTmpfs) else {
        return (.untried("no tmpfs to write to"), .none)
      }
      return try regularFile { () throws(Errno) in try UnnamedFile.make(in: place) }
    },
  ]

  private static func isTmpfs(_ place: FilePath) -> Bool {
    guard let file = try? UnnamedFile.make(in: place) else { return false }
    return (try? file.lend { file throws(Errno) in try Syscall.fileSystem(of: file) })?.name == "tmpfs"
  }

  private static let pipes = [
    KindOfDescriptor("pipe", "bytes pass on by reference") { () throws(Errno) in
      try bothEnds { () throws(Errno) in
        let pipe = try TrialPipe()
        return (pipe.writer, pipe.reader)
      }
    },
    KindOfDescriptor("second pipe (tee)", "one source for many sinks without a copy") {
      () throws(Errno) in
      let (specimen, pipe, copy) = (try Specimen(), try TrialPipe(), try TrialPipe())
      // Where splice is refused, tee can still be asked, and whose page it passes on is not known.
      let isSpecimen = (try? pipe.take(from: specimen.file, at: 0)) != nil
      if !isSpecimen { try pipe.writer.writeByte() }
      do throws(Errno) { try pipe.tee(to: copy) } catch { return (.none, Answer(error, as: .sink)) }
      guard isSpecimen else { return (.none, .splices(.unknown)) }
      try specimen.change()
      return (.none, .splices(.init(seeing: try copy.reader.firstByte())))
    },
  ]

  /// Streams of one's own, one for each direction: what is written to the near end comes out of the far one.
  private static func bothEnds(
    _ make: () throws(Errno) -> (near: Held, far: Held)
  ) throws(Errno) -> (from: Answer, to: Answer) {
    let (near, far) = try make()
    let to = Answer(to: near) { () throws(Errno) in try far.firstByte() }
    let (writer, reader) = try make()
    let (specimen, pipe) = (try Specimen(), try TrialPipe())
    // Only where the way in has not copied can the way out tell whose page it has.
    if to == .splices(.shared), (try? pipe.take(from: specimen.file, at: 0)) != nil,
      (try? pipe.pass(to: writer)) != nil
    {
      try reader.waitUntilReadable()
      return (Answer(from: reader) { () throws(Errno) in try specimen.change() }, to)
    }
    try writer.writeByte()
    try reader.waitUntilReadable()
    return (Answer(from: reader), to)
  }
}

// MARK: - Sockets

extension KindOfDescriptor {
  private static let sockets = [
    KindOfDescriptor("TCP over IPv4", "files and streams are sent without a copy") {
      () throws(Errno) in
      try bothEnds { () throws(Errno) in try tcp(.loopback4) }
    },
    KindOfDescriptor("TCP over IPv6", "files and streams are sent without a copy") {
      () throws(Errno) in
      try bothEnds { () throws(Errno) in try tcp(.loopback6) }
    },
    KindOfDescriptor("MPTCP", "spliced, and copied inside the kernel") { () throws(Errno) in
      try bothEnds { () throws(Errno) in try tcp(.loopback4, protocol: CInt(csplice_mptcp)) }
    },
    KindOfDescriptor("unix stream socket", "the cheapest way between two programs but a pipe") {
      () throws(Errno) in try bothEnds { () throws(Errno) in try pair(CInt(SOCK_STREAM.rawValue)) }
    },
    KindOfDescriptor("unix datagram socket", always) { () throws(Errno) in
      try bothEnds { () throws(Errno) in try pair(CInt(SOCK_DGRAM.rawValue)) }
    },
    KindOfDescriptor("unix seqpacket socket", always) { () throws(Errno) in
      try bothEnds { () throws(Errno) in try pair(CInt(SOCK_SEQPACKET.rawValue)) }
    },
    KindOfDescriptor("UDP", always) { () throws(Errno) in
      try bothEnds { () throws(Errno) in
        let (near, far) = (try bound(CInt(SOCK_DGRAM.rawValue)), try bound(CInt(SOCK_DGRAM.rawValue)))
        try near.connect(to: far)
        return (near, far)
      }
    },
  ]

  private static let always = "the command copies it all the same, as splice(2) may cut a message off"

  private static func pair(_ type: CInt) throws(Errno) -> (near: Held, far: Held) {
    let (near, far) = try Syscall.socketpair(type: type)
    return (Held(near), Held(far))
  }

  private static func bound(
    _ type: CInt, to address: SocketAddress = .loopback4, protocol number: CInt = 0
  ) throws(Errno) -> Held {
    let socket = Held(try Syscall.socket(domain: address.domain, type: type, protocol: number))
    try socket.lend { socket throws(Errno) in try Syscall.bind(socket, to: address.bytes) }
    return socket
  }

  private static func tcp(
    _ address: SocketAddress, protocol number: CInt = 0
  ) throws(Errno) -> (near: Held, far: Held) {
    let type = CInt(SOCK_STREAM.rawValue)
    let listener = try bound(type, to: address, protocol: number)
    try listener.lend { listener throws(Errno) in try Syscall.listen(listener, backlog: 1) }
    let near = Held(try Syscall.socket(domain: address.domain, type: type, protocol: number))
    do throws(Errno) { try near.connect(to: listener) } catch {
      guard error == .nowInProgress else { throw error }
    }
    try listener.waitUntilReadable()
    return (near, Held(try listener.lend { listener throws(Errno) in try Syscall.accept4(listener).peer }))
  }
}

extension Held {
  /// C: `getsockname`, `connect`
  fileprivate func connect(to other: Held) throws(Errno) {
    let address = try other.lend { other throws(Errno) in try Syscall.getsockname(other) }
    try lend { socket throws(Errno) in try Syscall.connect(socket, to: address) }
  }
}

extension SocketAddress {
  fileprivate static let loopback4 = SocketAddress(ip: [127, 0, 0, 1], port: 0)
  fileprivate static let loopback6 = SocketAddress(ip: [UInt8](repeating: 0, count: 15) + [1], port: 0)
}

// MARK: - Devices, and files of the kernel

extension KindOfDescriptor {
  private static let devices =
    [
      KindOfDescriptor("terminal", "spliced, and copied inside the kernel") { () throws(Errno) in
        let (control, terminal) = try Syscall.pseudoterminal()
        let (near, far) = (Held(control), Held(terminal))
        return (
          Answer(from: far), Answer(to: far) { () throws(Errno) in try near.firstByte() }
        )
      }
    ]
    + [
      ("/dev/zero", "zero: is that"), ("/dev/null", "what is sent to null: is gone without a copy"),
      ("/dev/full", "for trying what a full disk does"), ("/dev/urandom", "random bytes, made by the kernel"),
    ].map { path, advice in
      KindOfDescriptor(path, advice) { () throws(Errno) in
        let device = Held(try Syscall.open(FilePath(path), flags: O_RDWR | O_NONBLOCK))
        return (Answer(from: device), Answer(to: device))
      }
    }

  private static let files =
    [
      "/proc/meminfo", "/proc/self/status", "/proc/sys/kernel/ostype",
      "/sys/kernel/uevent_seqnum",
    ].map { path in
      // Nothing is written here, so nobody is asked whether that could be spliced.
      KindOfDescriptor(path, "made by the kernel as it is read") { () throws(Errno) in
        (Answer(from: Held(try Syscall.open(FilePath(path), flags: O_RDONLY | O_NONBLOCK))), .none)
      }
    } + [
      KindOfDescriptor("eventfd", "no stream of bytes") { () throws(Errno) in
        let event = Held(try Syscall.eventfd())
        return (Answer(from: event), Answer(to: event))
      }
    ]
}

// MARK: - Regular files

/// Files that have no name, and are gone when they are closed, whatever ends this process.
enum UnnamedFile {
  /// Where everybody may make files, as a rule.
  static let places: [FilePath] = ["/dev/shm", "/tmp", "/run", "."]

  /// In the first place that takes one.
  static func anywhere() -> Held? { places.lazy.compactMap { try? make(in: $0) }.first }

  /// C: `open` with O_TMPFILE
  static func make(in directory: FilePath, flags: CInt = 0) throws(Errno) -> Held {
    Held(try Syscall.open(directory, flags: O_RDWR | csplice_o_tmpfile() | flags, mode: 0o600))
  }
}

extension KindOfDescriptor {
  /// A file, and another of its kind as the sink.
  static func regularFile(
    _ make: () throws(Errno) -> Held
  ) throws(Errno) -> (from: Answer, to: Answer) {
    let specimen = try Specimen(in: make())
    let from = Answer(from: specimen.file, at: 0) { () throws(Errno) in try specimen.change() }
    let sink = try make()
    return (from, Answer(to: sink, at: 0) { () throws(Errno) in try sink.firstByte(at: 0) })
  }

  /// Files on the file system of a directory, which one may write to.
  static func files(in directory: FilePath, on name: String) -> [KindOfDescriptor] {
    [
      KindOfDescriptor("file on \(name)", "sent to sockets and pipes without a copy") { () throws(Errno) in
        try regularFile { () throws(Errno) in try UnnamedFile.make(in: directory) }
      },
      KindOfDescriptor("appended file on \(name)", "appends by reference") { () throws(Errno) in
        let file = try UnnamedFile.make(in: directory, flags: O_APPEND)
        return (Answer(from: file, at: 0), Answer(to: file))
      },
      KindOfDescriptor(
        "O_DIRECT file on \(name)", "past the page cache, in whole blocks: splice itself never asks for it"
      ) { () throws(Errno) in try directFile(in: directory) },
    ]
  }

  /// A file that is opened past the page cache, but where this process itself looks at it.
  private static func directFile(in directory: FilePath) throws(Errno) -> (from: Answer, to: Answer) {
    let (file, sink) = (try UnnamedFile.make(in: directory), try UnnamedFile.make(in: directory))
    let specimen = try Specimen(in: file)
    try file.setDirect(true)
    try sink.setDirect(true)
    let from = Answer(from: file, at: 0) { () throws(Errno) in
      try file.setDirect(false)
      try specimen.change()
    }
    let to = Answer(to: sink, at: 0) { () throws(Errno) in
      try sink.setDirect(false)
      return try sink.firstByte(at: 0)
    }
    return (from, to)
  }
}

extension Held {
  /// C: `fcntl` with F_SETFL and O_DIRECT
  fileprivate func setDirect(_ isDirect: Bool) throws(Errno) {
    try lend { file throws(Errno) in
      let flags = try Syscall.statusFlags(of: file) & ~csplice_o_direct()
      try Syscall.setStatusFlags(of: file, to: isDirect ? flags | csplice_o_direct() : flags)
    }
  }
}
