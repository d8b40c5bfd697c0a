// Memory that is written once, and sent for ever.

import CSplice
import SystemPackage

/// Memory that was written once and can be written no more, by anybody: it is sent to any number of sinks, each
/// at its own pace, and nobody has to know when one is done with it.
///
/// ```swift
/// let page = try SealedPages(copying: rendered.utf8Span.span.bytes)
/// var answer = GatherList(page.file)
/// try await answer.drain(to: client)
/// ```
///
/// Its pages go to sinks by reference, as those of a cached file do; that is what it is to the kernel, and what
/// reads files reads it: a ``GatherList``, a ``FanOut``, a flow. Making one costs a copy and some system calls:
/// what is small, or has few sinks, is cheaper to write.
///
/// C: `memfd_create`, `fcntl` with F_ADD_SEALS
public struct SealedPages: Sendable {
  /// The bytes, as the file they are; closed with the last reference.
  public let file: SharedFile

  /// How many bytes there are.
  public var count: Int { Int(file.size) }

  /// A copy of some bytes.
  public init(copying bytes: borrowing RawSpan) throws(Errno) {
    let pages = Descriptor(owning: try Syscall.memfd(named: "splice"))
    try unsafe bytes.withUnsafeBytes { bytes throws(Errno) in
      var written = 0
      while written < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[written...])
        written += try unsafe Syscall.write(pages.raw, from: rest)
      }
    }
    try Syscall.seal(pages.raw)
    file = try SharedFile(pages)
  }

  /// The same bytes under a number with an offset of its own, at their beginning: a source for a flow.
  /// C: `open` of `/proc/self/fd`
  public func open() throws(Errno) -> Descriptor {
    try Descriptor(opened: Syscall.open(FilePath("/proc/self/fd/\(file.number.rawValue)"), flags: O_RDONLY))
  }
}
