// A source that is another server's stream over HTTP: asked for again and again, as an edge that stands before
// an origin has to.

import Logging
import NIOCore
import Splice
import SystemPackage

extension Broadcast.Mount {
  /// Hands out what an origin streams, and asks again when that ends or cannot be had, until it is cancelled.
  /// What has a length is whole once that has come, and is not asked for again.
  func feed(from origin: HTTPOrigin, on executor: EpollExecutor, _ loop: any EventLoop) async {
    var pauses = Pauses()
    var isWhole = false
    while !Task.isCancelled, !isWhole {
      do {
        let reply = try await Self.ask(origin, on: loop)
        let before = fan.position
        _ = await feed("\(reply.origin)", mayFollow: !options.once) {
          isWhole = try await hand(reply, on: executor)
        }
        if options.once { return }
        if fan.position > before { pauses = Pauses() }
      } catch {
        if Task.isCancelled { return }
        logger.warning("cannot reach the source", metadata: ["source": "\(origin)", "reason": "\(error)"])
      }
      if !isWhole { try? await Task.sleep(for: pauses.next()) }
    }
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
  /// taken apart in user memory. Whether it had a length, and all of that has come.
  private func hand(_ reply: HTTPReply, on executor: EpollExecutor) async throws -> Bool {
    let headers = try await reply.head.headers
    if headers[canonicalForm: "transfer-encoding"].contains("chunked") {
      while case let pieces = try await reply.next(), !pieces.isEmpty { try await hand(pieces, on: executor) }
      return false
    }
    let length = headers.first(name: "content-length").flatMap { UInt64($0) }
    let (number, pieces) = try await reply.takeSocket()
    let socket = Descriptor(owning: number)
    let before = fan.position
    try await hand(pieces, on: executor)
    // What is kept of a unit has come, too.
    let had = UInt64(pieces.reduce(0) { $0 + $1.readableBytes })
    try await hand(from: socket, upTo: length.map { $0 - min($0, had) } ?? .max, on: executor)
    guard let length else { return false }
    return fan.position - before + UInt64(options.alignment) > length
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
