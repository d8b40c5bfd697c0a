// What the users of a channel call.

#if NIO
import NIOCore
import Splice

extension Channel {
  /// Sends a list of bytes, files and pipes behind what was written before, and before what is written
  /// afterwards. It needs `addSplicing` in its pipeline.
  ///
  /// The bytes go past NIO from the page cache into the socket; the event loop waits neither for the socket
  /// nor for a disk. The promise is what tells the sender to slow down; what is written meanwhile is counted
  /// by NIO's writability.
  ///
  /// - Parameters:
  ///   - list: What is sent.
  ///   - options: Pace, idle time and meter.
  ///   - promise: Succeeds with the number of bytes that the socket accepted, those of writes that had not been
  ///     flushed among them. Fails with a `SpliceError`, such as `SpliceError.truncated` for a
  ///     file that was cut short; with a ``SpliceRefusal`` when something changes the bytes of this channel on
  ///     their way; or with an error of NIO's. The channel is closed then: what is written next would be taken
  ///     for the rest.
  public func send(
    _ list: consuming GatherList, options: FlowOptions = FlowOptions(), promise: EventLoopPromise<UInt64>
  ) {
    let request = SendRequest(list, options, promise)
    let taken = eventLoop.makePromise(of: Void.self)
    taken.futureResult.whenFailure { _ in promise.fail(SpliceRefusal.noHandler) }
    triggerUserOutboundEvent(request, promise: taken)
  }

  /// Sends a list, and returns once the socket has accepted all of it. A task that is cancelled meanwhile
  /// closes the channel.
  ///
  /// - Returns: How many bytes the socket accepted.
  @discardableResult
  public func send(
    _ list: consuming GatherList, options: FlowOptions = FlowOptions()
  ) async throws -> UInt64 {
    let promise = eventLoop.makePromise(of: UInt64.self)
    send(list, options: options, promise: promise)
    return try await untilCancelled(promise.futureResult)
  }

  /// Writes a message, such as the head of an answer, and sends a list behind it: both leave together.
  ///
  /// - Returns: How many bytes the socket accepted, of both.
  @discardableResult
  public func send<Message: Sendable>(
    _ list: consuming GatherList, behind message: Message, options: FlowOptions = FlowOptions()
  ) async throws -> UInt64 {
    let promise = eventLoop.makePromise(of: UInt64.self)
    let handed = Handover(list)
    eventLoop.execute {
      self.write(message, promise: nil)
      self.send(handed.take(), options: options, promise: promise)
    }
    return try await untilCancelled(promise.futureResult)
  }

  func untilCancelled<Value: Sendable>(_ future: EventLoopFuture<Value>) async throws -> Value {
    try await withTaskCancellationHandler {
      try await future.get()
    } onCancel: {
      close(mode: .all, promise: nil)
    }
  }
}

/// Why nothing is sent past a channel.
public enum SpliceRefusal: Error, Sendable, Hashable, CustomStringConvertible {
  /// Its pipeline has no `addSplicing`, or it is none of NIOPosix's.
  case noHandler
  /// It has TLS, without which the bytes would leave in the clear: a handler of this name.
  case encrypted(handler: String)
  /// A handler of this name is nearer to the socket than what splices, and may change or hold back what
  /// passes.
  case between(handler: String)

  /// What is wrong, in a sentence.
  public var description: String {
    switch self {
    case .noHandler: "the channel was not prepared by addSplicing, or has no socket"
    case .encrypted(let handler): "the channel is encrypted by \(handler), and what is spliced would not be"
    case .between(let handler): "\(handler) is nearer to the socket than what splices"
    }
  }
}
#endif
