// A source that is another server's stream over HTTP: asked for again and again, as an edge that stands before
// an origin has to.

import Logging
import NIOCore
import Splice
import SystemPackage

extension Broadcast.Mount {
  /// Hands out what an origin streams, and asks again when that ends or cannot be had, until it is cancelled.
  /// What has a length is whole once that has come, and is not asked for again.
  func feed(from origin: HTTPOrigin, on executor: EpollExecutor, _ loop: any EventLoop) async -> SpliceError?
  {
    var pauses = Pauses()
    while !Task.isCancelled {
      do {
        let reply = try await Self.ask(origin, on: loop)
        let before = fan.position
        var isWhole = false
        let failure = await feed("\(reply.origin)", mayFollow: { !isWhole && !options.once }) {
          isWhole = try await hand(reply, on: executor)
        }
        if isWhole { return nil }
        if options.once { return failure }
        if fan.position > before { pauses = Pauses() }
      } catch {
        if Task.isCancelled { return nil }
        let reason = (error as? SpliceError)?.reason ?? "\(error)"
        logger.warning("cannot reach the source", metadata: ["source": "\(origin)", "reason": "\(reason)"])
      }
      try? await Task.sleep(for: pauses.next())
    }
    return nil
  }

  /// How many redirections are followed.
  private static let mostRedirections = 5

  private static func ask(_ origin: HTTPOrigin, on loop: any EventLoop) async throws -> HTTPReply {
    var origin = origin
    for _ in 0...mostRedirections {
      let reply = try await HTTPReply(from: origin, on: loop)
      let head = try await reply.head
      switch head.status.code {
      case 200: return reply
      case 301, 302, 303, 307, 308:
        guard let location = head.headers.first(name: "location"),
          let next = origin.redirected(to: location)
        else { throw HTTPReply.Refused(description: "redirected to nowhere") }
        origin = next
      default: throw HTTPReply.Refused(description: "HTTP status \(head.status.code)")
      }
    }
    throw HTTPReply.Refused(description: "redirected too often")
  }

  /// Hands out the body of an answer: spliced, but for what has come with the head, and for chunks, which are
  /// taken apart in user memory. Whether it had a length, and all of that has come; less is truncated.
  private func hand(_ reply: HTTPReply, on executor: EpollExecutor) async throws -> Bool {
    let headers = try await reply.head.headers
    let codings = headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
    if codings == ["chunked"] {
      while case let pieces = try await reply.next(), !pieces.isEmpty { try await hand(pieces, on: executor) }
      return false
    }
    if !codings.isEmpty { throw HTTPReply.Refused(description: "its transfer coding is not known") }
    let length = headers.first(name: "content-length").flatMap { UInt64($0) }
    let (number, pieces) = try await reply.takeSocket()
    let socket = number.map { Descriptor(owning: $0) }
    let before = fan.taken
    try await hand(pieces, on: executor)
    switch socket {
    case let socket?:
      let left = length.map { $0 - min($0, fan.taken - before) } ?? .max
      try await hand(from: socket, upTo: left, on: executor)
    case nil: break
    }
    guard let length else { return false }
    let missing = length - min(length, fan.taken - before)
    if missing > 0 { throw SpliceError.truncated(missing: missing) }
    return true
  }

  private func hand(_ pieces: [ByteBuffer], on executor: EpollExecutor) async throws {
    for piece in pieces {
      var source = BytesSource(piece.readableBytesView)
      try await fan.fill(from: &source, options: flows, waitingOn: executor)
    }
  }
}

/// How long to wait before the next attempt: longer each time, and not as long as others do who have lost the
/// same origin at the same moment.
private struct Pauses {
  private var longest = Duration.milliseconds(500)

  mutating func next() -> Duration {
    defer { longest = min(longest * 2, .seconds(15)) }
    return longest * Double.random(in: 0.5...1)
  }
}
