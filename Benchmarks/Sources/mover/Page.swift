// A page that is made anew again and again, to many sockets: as sealed memory, as a file that is there, or written.

import Glibc
import Splice
import SystemPackage

enum Page {
  static func run(_ kind: String, bytes: Int, sinks count: Int, rounds: Int, port: UInt16) throws {
    let sinks = try (0..<count).map { _ in
      Sink(try Descriptor.connect(host: "127.0.0.1", port: port, waitingIn: .poll))
    }
    var page = [UInt8](repeating: UInt8(ascii: "x"), count: bytes)
    let file = try SealedPages(copying: page.span.bytes)
    let begun = cpu()
    for round in 0..<rounds {
      // As a page is rendered.
      for index in page.indices { page[index] = UInt8(truncatingIfNeeded: round) }
      switch kind {
      case "write": for sink in sinks { sink.end.withFileDescriptor { write(page, to: $0) } }
      case "sealed": try send(SealedPages(copying: page.span.bytes).file, to: sinks)
      case "file": try send(file.file, to: sinks)
      default: preconditionFailure("sealed, file or write")
      }
    }
    print(cpu() - begun)
  }

  /// Seconds of this process.
  private static func cpu() -> Double {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
    return Double(seconds) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
  }

  private static func send(_ file: SharedFile, to sinks: [Sink]) throws {
    for sink in sinks {
      var list = GatherList(file)
      try list.drain(to: sink.end, waitingIn: .poll)
    }
  }

  private static func write(_ page: [UInt8], to sink: FileDescriptor) {
    page.withUnsafeBytes { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while !rest.isEmpty {
        let count = Glibc.send(sink.rawValue, rest.baseAddress, rest.count, 0)
        if count > 0 {
          rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } else {
          var one = pollfd(fd: sink.rawValue, events: Int16(POLLOUT), revents: 0)
          poll(&one, 1, -1)
        }
      }
    }
  }
}

/// An end with several owners.
private final class Sink {
  let end: Descriptor
  init(_ end: consuming Descriptor) { self.end = end }
}
