// Real descriptors for tests: pipes, sockets, files, and bytes to send through them.

import Foundation
import Splice
import SystemPackage

/// Two ends that are connected: bytes written to `near` come out of `far`, and for sockets the other way too.
public struct Ends: ~Copyable, Sendable {
  public var near: Descriptor
  public var far: Descriptor

  public init(near: consuming Descriptor, far: consuming Descriptor) {
    self.near = near
    self.far = far
  }

  /// The near end, for another thread to own.
  public mutating func giveNear() -> FileDescriptor { Self.give(&near) }

  /// The far end, for another thread to own.
  public mutating func giveFar() -> FileDescriptor { Self.give(&far) }

  private static func give(_ end: inout Descriptor) -> FileDescriptor {
    var given = Descriptor(owning: FileDescriptor(rawValue: -1))
    swap(&given, &end)
    return given.release()
  }

  /// A pipe: its writing end is near.
  public static func pipe(size: Int? = nil) throws -> Ends {
    let ends = try Syscall.pipe2()
    if let size { _ = try Syscall.setPipeSize(of: ends.writer, to: size) }
    return Ends(near: Descriptor(owning: ends.writer), far: Descriptor(owning: ends.reader))
  }

  /// A pair of unix stream sockets.
  public static func unix() throws -> Ends {
    var pair: [CInt] = [-1, -1]
    // Closed on exec, as all of these: a program that another test starts would else hold this end open.
    let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw Errno(rawValue: errno) }
    return Ends(
      near: Descriptor(owning: FileDescriptor(rawValue: pair[0])),
      far: Descriptor(owning: FileDescriptor(rawValue: pair[1])))
  }

  /// A TCP connection over loopback.
  public static func tcp() throws -> Ends {
    let address = try SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0]
    let listener = try address.listen(backlog: 1)
    let port = SocketAddress.port(of: listener)!
    let near = try SocketAddress.connect(
      toOneOf: try SocketAddress.resolve(host: "127.0.0.1", port: port), waitingIn: .poll)
    let far = try listener.accept(waitingIn: .poll)
    return Ends(near: near, far: far)
  }

  /// A TCP listener on a port of its own, which never accepts.
  public static func silentListener() throws -> Listener {
    let socket = try SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0].listen(backlog: 4)
    return Listener(port: SocketAddress.port(of: socket)!, socket: socket)
  }

  /// A socket that listens.
  public struct Listener: ~Copyable, Sendable {
    public let port: UInt16
    private let socket: Descriptor

    init(port: UInt16, socket: consuming Descriptor) {
      self.port = port
      self.socket = socket
    }
  }

  /// One of these by name, for tests that run over all of them.
  public static func make(_ kind: Kind) throws -> Ends {
    switch kind {
    case .pipe: try pipe()
    case .unix: try unix()
    case .tcp: try tcp()
    }
  }

  public enum Kind: String, CaseIterable, Sendable { case pipe, unix, tcp }
}

extension Descriptor {
  /// Another descriptor for the same open file, for another thread to own.
  public borrowing func duplicate() throws -> FileDescriptor {
    try withFileDescriptor { try Syscall.duplicate($0) }
  }

  /// Everything up to the end, while the calling thread waits.
  public borrowing func readToEnd() throws -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = try readSome(&chunk)
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  /// Exactly so many bytes.
  public borrowing func read(exactly wanted: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < wanted {
      var chunk = [UInt8](repeating: 0, count: wanted - bytes.count)
      let count = try readSome(&chunk)
      if count == 0 { throw Errno.brokenPipe }
      bytes += chunk[..<count]
    }
    return bytes
  }

  /// What there is, into the beginning of an array; 0 at the end.
  public borrowing func readSome(_ chunk: inout [UInt8]) throws -> Int {
    let number = withFileDescriptor { $0.rawValue }
    while true {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(number, $0.baseAddress, $0.count) }
      if count >= 0 { return count }
      guard errno == EAGAIN else { throw Errno(rawValue: errno) }
      try wait(as: .source, in: .poll)
    }
  }

  /// Writes all of it, while the calling thread waits.
  public borrowing func writeAll(_ bytes: some Collection<UInt8>) throws {
    let number = withFileDescriptor { $0 }
    let all = Array(bytes)
    var written = 0
    while written < all.count {
      let start = written
      do throws(Errno) {
        let count = all.withUnsafeBytes { bytes in
          Result { () throws(Errno) in
            try Syscall.withoutSIGPIPE { () throws(Errno) in
              try Syscall.write(number, from: UnsafeRawBufferPointer(rebasing: bytes[start...]))
            }
          }
        }
        written += try count.get()
      } catch {
        guard error == .resourceTemporarilyUnavailable else { throw error }
        try wait(as: .sink, in: .poll)
      }
    }
  }
}

/// A file of its own in the temporary directory, removed with its owner.
public final class TemporaryFile: Sendable {
  public let path: FilePath

  public init(_ bytes: some Collection<UInt8> = []) throws {
    path = FilePath(FileManager.default.temporaryDirectory.path).appending("splice-\(UUID().uuidString)")
    try Data(bytes).write(to: URL(fileURLWithPath: path.string))
  }

  deinit { try? FileManager.default.removeItem(atPath: path.string) }

  public var contents: [UInt8] {
    get throws { Array(try Data(contentsOf: URL(fileURLWithPath: path.string))) }
  }

  public func open(
    _ mode: FileDescriptor.AccessMode, _ options: FileDescriptor.OpenOptions = []
  ) throws
    -> Descriptor
  {
    Descriptor(owning: try FileDescriptor.open(path, mode, options: options.union(.closeOnExec)))
  }
}

/// A directory of its own, removed with its owner.
public final class TemporaryDirectory: Sendable {
  public let path: String

  public init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("splice-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A file in it, by name.
  public func contents(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
  }

  public func write(_ name: String, _ bytes: some Collection<UInt8>) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }
}

/// A descriptor for `/dev/null` and its like.
public func device(_ path: FilePath, _ mode: FileDescriptor.AccessMode = .readWrite) throws -> Descriptor {
  Descriptor(owning: try FileDescriptor.open(path, mode, options: .closeOnExec))
}

/// Random bytes that are the same for the same seed.
public struct Random: RandomNumberGenerator, Sendable {
  private var state: UInt64
  public init(seed: UInt64) { state = seed }
  public mutating func next() -> UInt64 {
    // SplitMix64.
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// So many bytes, different at every place.
public func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var random = Random(seed: seed)
  var bytes = [UInt8](repeating: 0, count: count)
  bytes.withUnsafeMutableBytes { buffer in
    var index = 0
    while index + 8 <= count {
      buffer.storeBytes(of: random.next(), toByteOffset: index, as: UInt64.self)
      index += 8
    }
    while index < count {
      buffer[index] = UInt8(truncatingIfNeeded: random.next())
      index += 1
    }
  }
  return bytes
}

/// Sockets and pipes this process has open. Of other things the runtime opens one when it likes, such as the
/// epoll of its queues.
public func openDescriptors() throws -> Set<String> {
  // The listing's own descriptor is gone when the links are read.
  let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
  return Set(
    numbers.compactMap { number in
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")).map {
        "\(number) \($0)"
      }
    }.filter { $0.contains("socket:") || $0.contains("pipe:") })
}

extension SplicePipe {
  /// The rule that always holds.
  public var isBalanced: Bool { received - delivered == UInt64(count) }

  /// What is in the pipe, taken out of it.
  public mutating func contents() throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < buffer.count {
        var output = OutputRawSpan(
          buffer: UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(buffer)[initialized...]),
          initializedCount: 0)
        guard case .bytes(let count) = try read(into: &output) else { break }
        initialized += count
      }
    }
  }

  @discardableResult
  public mutating func write(_ bytes: [UInt8]) throws -> Transfer { try write(bytes.span.bytes) }
}

// MARK: - Both ends of a pipe

extension PipeReader {
  /// What comes out at once, and how the call answered.
  public mutating func read(upTo limit: Int) throws -> (bytes: [UInt8], answer: Transfer) {
    var answer = Transfer.wouldBlock
    let bytes = try [UInt8](unsafeUninitializedCapacity: max(limit, 1)) { buffer, initialized in
      var output = OutputRawSpan(
        buffer: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<limit]),
        initializedCount: 0)
      answer = try read(into: &output)
      initialized = output.byteCount
    }
    return (bytes, answer)
  }
}

extension PipeWriter {
  @discardableResult
  public mutating func write(_ bytes: [UInt8]) throws -> Transfer { try write(bytes.span.bytes) }

  /// Writes all of it, waiting as needed.
  public mutating func writeAll(_ bytes: [UInt8]) async throws {
    var sent = 0
    while sent < bytes.count {
      if case .bytes(let count) = try write(Array(bytes[sent..<min(bytes.count, sent + 65_536)])) {
        sent += count
      } else {
        try await wait()
      }
    }
  }
}

/// Takes so many bytes from a socket in six pieces, half a second between them, and says when it had the
/// last.
public func takeBitByBit(_ count: Int, from socket: FileDescriptor) -> Work<ContinuousClock.Instant> {
  onThread {
    let socket = Descriptor(owning: socket)
    for _ in 0..<6 {
      // Slow on purpose.
      usleep(500_000)
      _ = try socket.read(exactly: count / 6)
    }
    return ContinuousClock.now
  }
}
