// The handler next to the socket, through which what is spliced keeps its place between what is written.
//
// What is sent goes past NIO, straight into the socket: at once and on the event loop as far as the socket
// takes it and the disk need not be waited for, and the rest on a thread that waits for either. Meanwhile
// what is written goes to NIO, which counts it, and is flushed when its turn comes.

#if NIO
import NIOCore
import Splice
import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

extension ChannelPipeline.SynchronousOperations {
  /// Prepares a channel for what is sent past it and for its socket's being taken: a handler next to the
  /// socket, which costs a connection nothing until then.
  ///
  /// Bytes that were written and not flushed, 16 KiB at most, leave in one segment with what is sent behind
  /// them.
  ///
  /// - Parameter executor: On whose thread goes what does not go at once.
  public func addSplicing(on executor: EpollExecutor = .shared) throws {
    try addHandler(SpliceHandler(on: executor, isAlone: false), position: .first)
  }

  /// The same for a pipeline of which is known that nothing changes what passes.
  package func addSplicingAlone(on executor: EpollExecutor) throws {
    try addHandler(SpliceHandler(on: executor, isAlone: true), position: .first)
  }
}

/// Keeps what is sent in its place between what is written.
final class SpliceHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = IOData
  typealias OutboundOut = IOData

  /// Where is waited for the socket and for disks.
  private let executor: EpollExecutor
  /// Nothing else in the pipeline changes what passes.
  private let isAlone: Bool
  /// What was written and not flushed: it may leave with what is sent behind it.
  private var held: [(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)] = []
  private var heldCount = 0
  private static let mostHeld = 16 << 10

  /// Something was given to NIO, which may have it still.
  private var mayHold = false
  /// The channel's, once it was asked for: NIO tells by casts that cost more than a small answer.
  private var socket: (number: FileDescriptor, isUnix: Bool)?

  /// What is being sent, or taken.
  private var current: Sending?
  /// What is behind it, from the next that is sent on.
  private var behind = CircularBuffer<Deferred>()
  /// What is behind it and was given to NIO is to be flushed.
  private var isToFlush = false
  /// What is behind is gone through.
  private var isGoingOn = false
  /// What was read since the socket was asked for.
  var taking: Taking?

  private enum Deferred {
    case write(IOData, EventLoopPromise<Void>?)
    case flush
    case send(SendRequest)
    case take(TakeRequest)
    case close(CloseMode, EventLoopPromise<Void>?)
  }

  init(on executor: EpollExecutor, isAlone: Bool) { (self.executor, self.isAlone) = (executor, isAlone) }
}

// MARK: - Written

extension SpliceHandler {
  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    `do`(.write(unwrapOutboundIn(data), promise), context)
  }

  func flush(context: ChannelHandlerContext) { `do`(.flush, context) }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if mode == .all { end(with: ChannelError.ioOnClosedChannel) }
    `do`(.close(mode, promise), context)
  }

  func triggerUserOutboundEvent(
    context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
  ) {
    switch event {
    case let request as SendRequest:
      promise?.succeed()
      `do`(.send(request), context)
    case let request as TakeRequest:
      promise?.succeed()
      `do`(.take(request), context)
    default: context.triggerUserOutboundEvent(event, promise: promise)
    }
  }

  /// Everything has its turn.
  private func `do`(_ next: Deferred, _ context: ChannelHandlerContext) {
    guard behind.isEmpty, !isGoingOn else { return behind.append(next) }
    if current == nil, taking == nil { return begin(next, context) }
    switch next {
    // NIO counts what it holds, and tells who writes too much.
    case .write(let data, let promise) where taking == nil:
      mayHold = true
      context.write(wrapOutboundOut(data), promise: promise)
    case .flush where taking == nil: isToFlush = true
    default: behind.append(next)
    }
  }

  private func begin(_ next: Deferred, _ context: ChannelHandlerContext) {
    switch next {
    case .write(.byteBuffer(let bytes), let promise) where heldCount + bytes.readableBytes <= Self.mostHeld:
      heldCount += bytes.readableBytes
      held.append((bytes, promise))
    case .write(let data, let promise):
      release(context)
      mayHold = true
      context.write(wrapOutboundOut(data), promise: promise)
    case .flush:
      release(context)
      context.flush()
    case .send(let request): send(request, context)
    case .take(let request): take(request, context)
    case .close(let mode, let promise):
      release(context)
      context.close(mode: mode, promise: promise)
    }
  }

  /// Nothing is sent behind it: it goes through NIO.
  func release(_ context: ChannelHandlerContext) {
    for (bytes, promise) in takeHeld() {
      mayHold = true
      context.write(wrapOutboundOut(.byteBuffer(bytes)), promise: promise)
    }
  }

  private func takeHeld() -> [(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)] {
    defer { (held, heldCount) = ([], 0) }
    return held
  }
}

// MARK: - Sent

/// What was asked to be sent.
final class SendRequest: Sendable {
  let list: Handover<GatherList>
  let options: FlowOptions
  let promise: EventLoopPromise<UInt64>

  init(_ list: consuming GatherList, _ options: FlowOptions, _ promise: EventLoopPromise<UInt64>) {
    (self.list, self.options, self.promise) = (Handover(list), options, promise)
  }
}

/// What is being sent.
private struct Sending {
  let promise: EventLoopPromise<UInt64>
  /// Of what was written in front of it.
  var writes: [EventLoopPromise<Void>] = []
  /// Once it goes on elsewhere.
  var task: Task<Void, Never>?
}

/// A list, and how far it was sent.
private struct Gathered: ~Copyable, Sendable {
  var list: GatherList
  var flow: Flow
  let options: FlowOptions

  init(_ list: consuming GatherList, _ options: FlowOptions) {
    self.list = list
    self.options = options
    // What goes at once stands not still.
    var atOnce = options
    atOnce.idle = nil
    flow = Flow(gathering: atOnce)
  }
}

extension SpliceHandler {
  private func send(_ request: SendRequest, _ context: ChannelHandlerContext) {
    var list = request.list.take()
    let writes = takeHeld()
    for (bytes, _) in writes.reversed() {
      unsafe bytes.withUnsafeReadableBytes { bytes in unsafe list.prepend(bytes.bytes) }
    }
    current = Sending(promise: request.promise, writes: writes.compactMap(\.promise))
    if !isAlone, let refusal = SpliceRefusal(of: context) { return hasSent(.failure(refusal), context) }
    let gathered = Gathered(list, request.options)
    if hasLeft(context) { return begin(gathered, context) }
    let handed = Handover(gathered)
    quiet(context) { handler, result, context in
      switch result {
      case .success: handler.begin(handed.take(), context)
      case .failure(let error): handler.hasSent(.failure(error), context)
      }
    }
  }

  /// Whether everything that was given to NIO has been written.
  private func hasLeft(_ context: ChannelHandlerContext) -> Bool {
    if mayHold { mayHold = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) != 0 }
    return !mayHold
  }

  /// The channel's socket, which is open as long as this runs on its loop.
  private func socket(_ context: ChannelHandlerContext) throws -> (number: FileDescriptor, isUnix: Bool) {
    // A number that was closed may be another's by now. NIO calls nobody before it says so.
    guard context.channel.isActive else { throw ChannelError.ioOnClosedChannel }
    if let socket { return socket }
    let found = (number: try context.socket(), isUnix: context.isUnix)
    socket = found
    return found
  }

  /// Goes on once everything that was given to NIO has been written.
  func quiet(
    _ context: ChannelHandlerContext,
    _ body: @escaping (SpliceHandler, Result<Void, any Error>, ChannelHandlerContext) -> Void
  ) {
    let bound = NIOLoopBound((self, context, body), eventLoop: context.eventLoop)
    let written = context.eventLoop.makePromise(of: Void.self)
    context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer())), promise: written)
    written.futureResult.whenComplete { result in
      let (handler, context, body) = bound.value
      body(handler, result, context)
    }
  }

  /// Sends what goes at once.
  private func begin(_ gathered: consuming Gathered, _ context: ChannelHandlerContext) {
    // It may have been closed meanwhile.
    guard current != nil else { return }
    var gathered = gathered
    do {
      let known = try socket(context)
      let socket = Descriptor(stream: known.number, isUnix: known.isUnix)
      let isDone: Bool
      do throws(SpliceError) { isDone = try gathered.list.attempt(&gathered.flow, to: socket) } catch {
        _ = socket.release()
        throw error
      }
      _ = socket.release()
      if isDone { return hasSent(.success(gathered.list.delivered), context) }
      try goOn(gathered, context)
    } catch { hasSent(.failure(error), context) }
  }

  /// Sends the rest on the executor's thread, over a number of its own, which the channel cannot close.
  private func goOn(_ gathered: consuming Gathered, _ context: ChannelHandlerContext) throws {
    let known = try socket(context)
    let target = Handover(Descriptor(stream: try Syscall.duplicate(known.number), isUnix: known.isUnix))
    let handed = Handover(gathered)
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let executor = executor
    current?.task = Task(executorPreference: executor) {
      var gathered = handed.take()
      gathered.flow = Flow(gathering: gathered.options)
      let socket = target.take()
      let result: Result<UInt64, any Error>
      do throws(SpliceError) {
        _ = try await gathered.list.goOn(&gathered.flow, to: socket, gathered.options, waitingOn: executor)
        result = .success(gathered.list.delivered)
      } catch { result = .failure(error) }
      try? socket.close()
      bound.eventLoop.execute {
        let (handler, context) = bound.value
        handler.hasSent(result, context)
      }
    }
  }

  private func hasSent(_ result: Result<UInt64, any Error>, _ context: ChannelHandlerContext) {
    guard let sent = current else { return }
    switch result {
    case .success(let count):
      current = nil
      for promise in sent.writes { promise.succeed() }
      sent.promise.succeed(count)
      goOnBehind(context)
    case .failure(let error):
      // What is behind it would be taken for the rest.
      end(with: error)
      context.close(mode: .all, promise: nil)
    }
  }

  /// What has come behind what was sent, up to the next that takes its time.
  func goOnBehind(_ context: ChannelHandlerContext) {
    if isGoingOn { return }
    isGoingOn = true
    if isToFlush {
      isToFlush = false
      context.flush()
    }
    while current == nil, taking == nil, let next = behind.popFirst() { begin(next, context) }
    isGoingOn = false
  }
}

// MARK: - The end

extension SpliceHandler {
  func channelInactive(context: ChannelHandlerContext) {
    end(with: ChannelError.ioOnClosedChannel)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { end(with: ChannelError.ioOnClosedChannel) }

  /// Nothing more is sent.
  func end(with error: any Error) {
    let (sent, held, rest, taking) = (current, takeHeld(), behind, taking)
    (current, self.taking, isToFlush) = (nil, nil, false)
    behind.removeAll()
    sent?.task?.cancel()
    for promise in sent?.writes ?? [] { promise.fail(error) }
    sent?.promise.fail(error)
    taking?.promise.fail(error)
    for (_, promise) in held { promise?.fail(error) }
    for next in rest {
      switch next {
      case .write(_, let promise), .close(_, let promise): promise?.fail(error)
      case .send(let request): request.promise.fail(error)
      case .take(let request): request.promise.fail(error)
      case .flush: break
      }
    }
  }
}
#endif
