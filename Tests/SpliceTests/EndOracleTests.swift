// The kernel as the oracle of the ends: bare descriptors on one side, split pipes of both bodies on the
// other, and whatever can be seen of them is the same, also after ends were closed in any order.

import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Something done to the ends of a few pipes.
private enum Operation: Sendable {
  case write(Int, bytes: Int)
  case read(Int, upTo: Int)
  case splice(Int, to: Int, upTo: Int)
  case tee(Int, to: Int, upTo: Int)
  case fromFile(Int, at: Int64, upTo: Int)
  case toFile(Int, upTo: Int)
  case resize(Int, to: Int)
  case closeReader(Int)
  case closeWriter(Int)
  case renew(Int)

  static func random(_ random: inout Random) -> Operation {
    let pipe = Int.random(in: 0..<3, using: &random)
    let sizes = [0, 1, 100, 1000, 4095, 4096, 4097, 8192, 12_288, 20_000, 65_536, 100_000]
    let size = sizes.randomElement(using: &random) ?? 0
    switch Int.random(in: 0..<40, using: &random) {
    case 0..<10: return .write(pipe, bytes: size)
    case 10..<17: return .read(pipe, upTo: size)
    // Now and then to itself.
    case 17..<23: return .splice(pipe, to: Int.random(in: 0..<3, using: &random), upTo: size)
    case 23..<28: return .tee(pipe, to: Int.random(in: 0..<3, using: &random), upTo: size)
    case 28..<32: return .fromFile(pipe, at: Int64.random(in: 0...60_000, using: &random), upTo: size)
    case 32..<34: return .toFile(pipe, upTo: size)
    case 34: return .resize(pipe, to: Int.random(in: 1...70_000, using: &random))
    case 35: return .closeReader(pipe)
    case 36: return .closeWriter(pipe)
    default: return .renew(pipe)
    }
  }
}

/// What could be seen of an operation: its answer, the bytes that came out, and every pipe's count and
/// states.
private struct Sight: Equatable {
  var answer = ""
  var bytes: [UInt8] = []
  var pipes: [String] = []
}

private let pattern = bytes(200_000, seed: 5)

/// A pipe's ends, as somebody implements them.
private protocol Subject: AnyObject {
  init(_ content: TemporaryFile) throws
  func write(_ pipe: Int, _ bytes: [UInt8]) throws -> String
  func read(_ pipe: Int, upTo limit: Int) throws -> (answer: String, bytes: [UInt8])
  func splice(_ pipe: Int, to other: Int, upTo limit: Int) throws -> String
  func tee(_ pipe: Int, to other: Int, upTo limit: Int) throws -> String
  func fromFile(_ pipe: Int, at offset: Int64, upTo limit: Int) throws -> String
  func toFile(_ pipe: Int, upTo limit: Int) throws -> String
  func resize(_ pipe: Int, to capacity: Int)
  func closeReader(_ pipe: Int)
  func closeWriter(_ pipe: Int)
  func renew(_ pipe: Int) throws
  func state(_ pipe: Int) -> String
  func written() throws -> [UInt8]
}

private let firstCapacity = 16 << 10

// MARK: - Bare descriptors

private final class Bare: Subject {
  private var readers: [FileDescriptor?] = [nil, nil, nil]
  private var writers: [FileDescriptor?] = [nil, nil, nil]
  private let file, sink: Descriptor
  private let target: TemporaryFile

  init(_ content: TemporaryFile) throws {
    file = try content.open(.readOnly)
    target = try TemporaryFile()
    sink = try target.open(.writeOnly)
    for pipe in 0..<3 { try renew(pipe) }
  }

  deinit {
    for pipe in 0..<3 {
      closeReader(pipe)
      closeWriter(pipe)
    }
  }

  private func say(
    isRead: Bool = false, of limit: Int, _ call: () throws(Errno) -> Int
  ) throws -> String {
    if limit == 0 { return "\(Transfer.bytes(0))" }
    do throws(Errno) {
      let count = try Syscall.withoutSIGPIPE { () throws(Errno) in try call() }
      return isRead && count == 0 ? "\(Transfer.endOfFile)" : "\(Transfer.bytes(count))"
    } catch {
      if error == .wouldBlock { return "\(Transfer.wouldBlock)" }
      throw error
    }
  }

  func write(_ pipe: Int, _ bytes: [UInt8]) throws -> String {
    guard let writer = writers[pipe] else { return "closed" }
    return try say(of: bytes.count) { () throws(Errno) in try Syscall.write(writer, bytes) }
  }

  func read(_ pipe: Int, upTo limit: Int) throws -> (answer: String, bytes: [UInt8]) {
    guard let reader = readers[pipe] else { return ("closed", []) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 16)
    defer { buffer.deallocate() }
    var taken = 0
    let answer = try say(isRead: true, of: limit) { () throws(Errno) in
      taken = try Syscall.read(reader, into: buffer)
      return taken
    }
    return (answer, Array(buffer[..<taken]))
  }

  func splice(_ pipe: Int, to other: Int, upTo limit: Int) throws -> String {
    guard let reader = readers[pipe], let writer = writers[other] else { return "closed" }
    return try say(isRead: true, of: limit) { () throws(Errno) in
      try Syscall.splice(from: reader, to: writer, count: limit)
    }
  }

  func tee(_ pipe: Int, to other: Int, upTo limit: Int) throws -> String {
    guard let reader = readers[pipe], let writer = writers[other] else { return "closed" }
    return try say(isRead: true, of: limit) { () throws(Errno) in
      try Syscall.tee(from: reader, to: writer, count: limit)
    }
  }

  func fromFile(_ pipe: Int, at offset: Int64, upTo limit: Int) throws -> String {
    guard let writer = writers[pipe] else { return "closed" }
    return try file.withFileDescriptor { file in
      _ = try file.seek(offset: offset, from: .start)
      return try say(isRead: true, of: limit) { () throws(Errno) in
        try Syscall.splice(from: file, to: writer, count: limit)
      }
    }
  }

  func toFile(_ pipe: Int, upTo limit: Int) throws -> String {
    guard let reader = readers[pipe] else { return "closed" }
    return try sink.withFileDescriptor { sink in
      try say(isRead: true, of: limit) { () throws(Errno) in
        try Syscall.splice(from: reader, to: sink, count: limit)
      }
    }
  }

  func resize(_ pipe: Int, to capacity: Int) {
    if let writer = writers[pipe] { _ = try? Syscall.setPipeSize(of: writer, to: capacity) }
  }

  func closeReader(_ pipe: Int) { close(&readers[pipe], seenBy: writers[pipe]) }
  func closeWriter(_ pipe: Int) { close(&writers[pipe], seenBy: readers[pipe]) }

  /// A program that another test starts has copies of all descriptors until it is begun. Only then the other
  /// end sees this.
  private func close(_ end: inout FileDescriptor?, seenBy other: FileDescriptor?) {
    guard let closing = end.take() else { return }
    try? closing.close()
    guard let other else { return }
    // POLLHUP or POLLERR.
    var one = pollfd(fd: other.rawValue, events: 0, revents: 0)
    _ = Glibc.poll(&one, 1, -1)
  }

  func renew(_ pipe: Int) throws {
    closeReader(pipe)
    closeWriter(pipe)
    let ends = try Syscall.pipe2()
    _ = try Syscall.setPipeSize(of: ends.writer, to: firstCapacity)
    (readers[pipe], writers[pipe]) = (ends.reader, ends.writer)
  }

  func state(_ pipe: Int) -> String {
    func poll(_ end: FileDescriptor?, _ events: Int32, closed: Int32) -> String {
      guard let end else { return "-" }
      var one = pollfd(fd: end.rawValue, events: Int16(events), revents: 0)
      _ = Glibc.poll(&one, 1, 0)
      let seen = Int32(one.revents)
      if events == POLLIN, seen & POLLIN != 0 { return "ready" }
      if seen & closed != 0 { return "closed" }
      return seen & events != 0 ? "ready" : "waiting"
    }
    let count = (readers[pipe] ?? writers[pipe]).flatMap { try? Syscall.bytesWaiting(in: $0) } ?? 0
    let capacity = (readers[pipe] ?? writers[pipe]).flatMap { try? Syscall.pipeSize(of: $0) } ?? 0
    return
      "\(poll(readers[pipe], POLLIN, closed: POLLHUP)) \(poll(writers[pipe], POLLOUT, closed: POLLERR)) \(count) of \(capacity)"
  }

  func written() throws -> [UInt8] { try target.contents }
}

// MARK: - Split pipes

private class Split: Subject {
  private var readers = (0..<3).map { _ in Holder<PipeReader>() }
  private var writers = (0..<3).map { _ in Holder<PipeWriter>() }
  private let file, sink: Descriptor
  private let target: TemporaryFile
  class var body: SplicePipe.Storage { .kernel }

  /// An end, while it is open.
  fileprivate final class Holder<End: ~Copyable> { var end: End? = nil }

  required init(_ content: TemporaryFile) throws {
    file = try content.open(.readOnly)
    target = try TemporaryFile()
    sink = try target.open(.writeOnly)
    for pipe in 0..<3 { try renew(pipe) }
  }

  private func say(_ transfer: Transfer?) -> String { transfer.map { "\($0)" } ?? "closed" }

  func write(_ pipe: Int, _ bytes: [UInt8]) throws -> String {
    say(try writers[pipe].end?.write(bytes.span.bytes))
  }

  func read(_ pipe: Int, upTo limit: Int) throws -> (answer: String, bytes: [UInt8]) {
    guard let (bytes, answer) = try readers[pipe].end?.read(upTo: limit) else { return ("closed", []) }
    return (say(answer), bytes)
  }

  func splice(_ pipe: Int, to other: Int, upTo limit: Int) throws -> String {
    guard writers[other].isOpen else { return "closed" }
    return say(try readers[pipe].end?.splice(to: &writers[other].end!, upTo: limit))
  }

  func tee(_ pipe: Int, to other: Int, upTo limit: Int) throws -> String {
    guard writers[other].isOpen else { return "closed" }
    return say(try readers[pipe].end?.tee(to: &writers[other].end!, upTo: limit))
  }

  func fromFile(_ pipe: Int, at offset: Int64, upTo limit: Int) throws -> String {
    _ = try file.withFileDescriptor { try $0.seek(offset: offset, from: .start) }
    return say(try writers[pipe].end?.splice(from: file, upTo: limit))
  }

  func toFile(_ pipe: Int, upTo limit: Int) throws -> String {
    say(try readers[pipe].end?.splice(to: sink, upTo: limit))
  }

  func resize(_ pipe: Int, to capacity: Int) { writers[pipe].end?.resize(to: capacity) }
  func closeReader(_ pipe: Int) { readers[pipe].end = nil }
  func closeWriter(_ pipe: Int) { writers[pipe].end = nil }

  func renew(_ pipe: Int) throws {
    let ends = try SplicePipe(Self.body, capacity: firstCapacity).split()
    readers[pipe].end = consume ends.reader
    writers[pipe].end = consume ends.writer
  }

  func state(_ pipe: Int) -> String {
    let (reader, writer) = (readers[pipe].sight, writers[pipe].sight)
    let held = reader ?? writer
    return
      "\(reader?.state.rawValue ?? "-") \(writer?.state.rawValue ?? "-") \(held?.count ?? 0) of \(held?.capacity ?? 0)"
  }

  func written() throws -> [UInt8] { try target.contents }
}

extension Split.Holder where End: ~Copyable {
  fileprivate var isOpen: Bool {
    switch end {
    case .some: true
    case nil: false
    }
  }
}

extension Split.Holder where End == PipeReader {
  fileprivate var sight: (state: EndState, count: Int, capacity: Int)? {
    switch end {
    case let end?: (end.state, end.count, end.capacity)
    case nil: nil
    }
  }
}

extension Split.Holder where End == PipeWriter {
  fileprivate var sight: (state: EndState, count: Int, capacity: Int)? {
    switch end {
    case let end?: (end.state, end.count, end.capacity)
    case nil: nil
    }
  }
}

private final class SplitInMemory: Split {
  override class var body: SplicePipe.Storage { .memory }
}

// MARK: - Side by side

extension Subject {
  fileprivate func run(_ operation: Operation, _ number: Int) -> Sight {
    var sight = Sight()
    do {
      switch operation {
      case .write(let pipe, let count):
        // Other bytes each time.
        let start = number * 7919 % 50_000
        sight.answer = try write(pipe, Array(pattern[start..<start + count]))
      case .read(let pipe, let limit): (sight.answer, sight.bytes) = try read(pipe, upTo: limit)
      case .splice(let pipe, let other, let limit): sight.answer = try splice(pipe, to: other, upTo: limit)
      case .tee(let pipe, let other, let limit): sight.answer = try tee(pipe, to: other, upTo: limit)
      case .fromFile(let pipe, let offset, let limit):
        sight.answer = try fromFile(pipe, at: offset, upTo: limit)
      case .toFile(let pipe, let limit): sight.answer = try toFile(pipe, upTo: limit)
      case .resize(let pipe, let capacity): resize(pipe, to: capacity)
      case .closeReader(let pipe): closeReader(pipe)
      case .closeWriter(let pipe): closeWriter(pipe)
      case .renew(let pipe): try renew(pipe)
      }
    } catch { sight.answer = "\(error)" }
    sight.pipes = (0..<3).map { state($0) }
    return sight
  }
}

/// Where a subject differs from bare descriptors first, if it does, and how.
private func difference(
  _ operations: [Operation], _ kind: any Subject.Type, _ content: TemporaryFile
) throws -> Difference? {
  let (truth, subject) = (try Bare(content), try kind.init(content))
  for (index, operation) in operations.enumerated() {
    let (seen, claimed) = (truth.run(operation, index), subject.run(operation, index))
    if seen == claimed { continue }
    let bytes = seen.bytes == claimed.bytes ? "" : " (other bytes)"
    return Difference(
      index: index,
      text:
        "\(operation): the kernel \(seen.answer) \(seen.pipes), we \(claimed.answer) \(claimed.pipes)\(bytes)"
    )
  }
  if try truth.written() == subject.written() { return nil }
  return Difference(index: operations.count - 1, text: "what was written to the file")
}

@Suite(.mayBlock) struct EndOracleTests {
  @Test(arguments: SplicePipe.Storage.allCases, 0..<4)
  func `split ends behave like those of the kernel`(_ body: SplicePipe.Storage, _ worker: Int) throws {
    let content = try TemporaryFile(bytes(50_000, seed: 3))
    let kind: any Subject.Type = body == .memory ? SplitInMemory.self : Split.self
    try campaign(rounds: 60, worker: worker, random: Operation.random) {
      try difference($0, kind, content)
    }
  }
}
