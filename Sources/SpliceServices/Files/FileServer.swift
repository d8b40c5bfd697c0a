// The files of a directory over HTTP, for everybody.
//
// Each thread takes clients, as those of the other servers do, and has an event loop of NIO's beside it, on
// which HTTP is spoken. What does not go into a socket at once goes on on the thread itself.

import CoreMetrics
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Splice
import SpliceNIO
import struct SystemPackage.Errno
import struct SystemPackage.FilePath

/// Serves the files of a directory over HTTP/1.1 and 1.0.
///
/// ```swift
/// let files = try FileServer(of: "/srv/www", on: [.tcp(host: "0.0.0.0", port: 8000)])
/// try await ServiceGroup(services: [files], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// Files go from the page cache into the socket without being copied, and the head of an answer leaves with
/// them. Nothing outside the directory is shown, wherever links lead, and nothing whose name begins with a
/// dot but `/.well-known`. What is sent is the file as it is then: one that is written meanwhile arrives in
/// part old and in part new, unless ``Options/consistency`` says otherwise; one that gets shorter ends the
/// connection.
public final class FileServer: Service {
  /// How it is done.
  public struct Options: Sendable {
    /// What is shown of a directory.
    public var index = "index.html"
    /// Whether a directory without it is listed.
    public var lists = false
    /// What is promised of a file that is written while it is sent: see `SharedFile.Consistency`.
    public var consistency = SharedFile.Consistency.live
    /// The header `Cache-Control` of every file.
    public var cacheControl: String?
    /// Told of each request that was answered, on an event loop: it must not wait.
    public var accessLog: (@Sendable (AccessRecord) -> Void)?
    /// Threads that serve clients.
    public var threads = 1
    /// No more connections at once; of all, nil for as many as this process has descriptors for, and of one
    /// client.
    public var maxConnections, maxConnectionsPerClient: Int?
    /// Requests of one connection.
    public var mostRequests = 10_000
    /// How long a client may take for the head of a request.
    public var requestTimeout = Duration.seconds(10)
    /// How long it may be without one between two.
    public var idleTimeout = Duration.seconds(60)
    /// How long it may take nothing of an answer.
    public var stallTimeout = Duration.seconds(30)
    /// How many bytes a second it has to take at least, on average over each stall timeout.
    public var slowestReader: UInt64 = 512
    /// Whether the threads that serve clients can open nothing outside the directory, not even by a mistake, nor
    /// can those that they start to wait for disks: for a process that serves this directory and does nothing
    /// else. Where the kernel has no Landlock it says so in the log.
    public var confinesThreads = false
    /// Descriptors that this process needs for other things.
    public var otherDescriptors = 0
    /// How long answers may take that are under way when the server is to end.
    public var drainTimeout = Duration.seconds(30)

    /// The usual.
    public init() {}
  }

  let files: FileServing
  private let listeners: Listeners
  let threads: [Thread]
  private let care: MaintenanceThread
  private let name: String

  /// A thread that takes clients, and the event loop on which they are answered.
  struct Thread: Sendable {
    let executor: OwnExecutor
    let heartbeat: Heartbeat
    let group: MultiThreadedEventLoopGroup
    let state: NIOLoopBound<FileLoop>
    let files: FileServing
    var loop: any EventLoop { group.next() }
  }

  /// What cannot be served.
  public struct Unusable: Error, Sendable, Hashable, CustomStringConvertible {
    /// The directory.
    public let directory: String
    /// Why.
    public let reason: String
    /// Both.
    public var description: String { "\(directory): \(reason)" }
  }

  /// Listens, so that clients may come from now on; they are answered by ``run()``.
  ///
  /// - Throws: ``Unusable`` for what is no directory, ``ServerAddress/Unusable`` for an address that cannot be
  ///   listened on.
  public convenience init(
    of directory: FilePath, on addresses: [ServerAddress], options: Options = Options(),
    metrics: any MetricsFactory = MetricsSystem.factory, logger: Logger = Logger(label: "splice.serve")
  ) throws {
    try self.init(
      of: directory, on: addresses, options: options, metrics: metrics, logger: logger, stoppedBy: nil)
  }

  package init(
    of directory: FilePath, on addresses: [ServerAddress], options: Options, metrics: any MetricsFactory,
    logger: Logger, stoppedBy stop: StopFlag?
  ) throws {
    name = directory.string.escaped
    do throws(Errno) {
      let files = try FileServing(ServedDirectory(directory, options.consistency), options, metrics, logger)
      self.files = files
      threads = try (0..<max(1, options.threads)).map { number throws(Errno) in
        try Thread(number, files)
      }
      care = try MaintenanceThread()
    } catch { throw Unusable(directory: name, reason: "\(error)") }
    // Clients that are silent may have gone.
    listeners = try Listeners(
      on: addresses, sharedBy: threads.count, tcp: TCPOptions(keepalive: .seconds(20)), stoppedBy: stop)
  }

  deinit { for thread in threads { thread.group.shutdownGracefully { _ in } } }

  /// Where it listens, with the ports that were chosen for 0.
  public var addresses: [ServerAddress] { listeners.bound }

  /// Serves until it is cancelled or shut down gracefully: then those who wait for nothing are let go, and
  /// the others have the drain timeout for their answers.
  public func run() async throws {
    await withGracefulShutdownHandler {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { [care] in
          await withTaskCancellationHandler {
            await self.lookAfter()
          } onCancel: {
            care.wakeAll()
          }
        }
        await withDiscardingTaskGroup { clients in
          for index in threads.indices {
            clients.addTask(executorPreference: self.threads[index].executor.executor) {
              await self.serve(on: index)
            }
          }
        }
        group.cancelAll()
      }
    } onGracefulShutdown: { [files, threads, listeners] in
      listeners.close()
      files.serving.drain()
      for thread in threads { thread.loop.execute { thread.state.value.drain() } }
    }
    listeners.close()
    for thread in threads { try? await thread.group.shutdownGracefully() }
    report()
  }

  private func serve(on index: Int) async {
    let thread = threads[index]
    guard let over = try? Event() else { return }
    if files.options.confinesThreads {
      do { try files.directory.confineThread() } catch { files.serving.cannotConfine(error) }
    }
    async let beating: Void = thread.heartbeat.run(on: thread.executor.executor, until: over)
    let acceptor = Acceptor<FileClient>(for: thread, files.serving, on: thread.executor.executor)
    await withDiscardingTaskGroup { group in
      for listener in listeners.sockets[index] { group.addTask { await acceptor.serve(listener) } }
    }
    over.signal()
    await beating
  }

  private func lookAfter() async {
    var seconds = 0
    while !Task.isCancelled {
      for thread in threads { thread.loop.execute { thread.state.value.sweep(.now()) } }
      if seconds.isMultiple(of: 5) { report() }
      seconds += 1
      await care.sleep(until: .now + .seconds(1))
      if !Task.isCancelled { files.serving.sayDraining(after: .seconds(5)) }
    }
  }
}

extension FileServer.Thread {
  init(_ number: Int, _ files: FileServing) throws(Errno) {
    self.files = files
    let name = "splice-serve-\(number)"
    executor = try OwnExecutor(name: name)
    heartbeat = Heartbeat(of: name)
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let own = executor.executor
    let loop = group.next()
    // Made where it is used from now on.
    let made = loop.submit {
      Syscall.keepSIGPIPEAway()
      if files.options.confinesThreads { try? files.directory.confineThread() }
      return NIOLoopBound(FileLoop(files, own), eventLoop: loop)
    }
    guard let state = try? made.wait() else { throw .noMemory }
    self.state = state
  }
}

/// A client from its first byte to its last, as the acceptor has it.
struct FileClient: ClientTask {
  static let resetsItsClient = false
  private let thread: FileServer.Thread
  private let client: Splice.SocketAddress

  init(_ thread: FileServer.Thread, client: Splice.SocketAddress, on executor: EpollExecutor) {
    (self.thread, self.client) = (thread, client)
  }

  func serve(_ socket: consuming Descriptor) async {
    let name = client.host
    let (state, files) = (thread.state, thread.files)
    guard files.enter(name) else { return }
    defer { files.leave(name) }
    let number = socket.release()
    let channel = ClientBootstrap(group: thread.loop)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let connection = FileConnection(state.value, client: name)
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addSplicingAlone(on: state.value.executor)
          try pipeline.addHandlers([
            connection.screen,
            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)), connection,
          ])
        }
      }
      .withConnectedSocket(number.rawValue)
    await withTaskCancellationHandler {
      _ = try? await channel.flatMap { $0.closeFuture }.get()
    } onCancel: {
      channel.whenSuccess { $0.close(promise: nil) }
    }
  }
}

extension Splice.SocketAddress {
  /// Who it is, without the port.
  fileprivate var host: String {
    let name = "\(unmapped)"
    guard ip != nil, let colon = name.lastIndex(of: ":") else { return "unix" }
    return String(name[..<colon])
  }
}

// MARK: - How it fares

extension FileServer: Administered {
  /// Healthy while its threads turn.
  public var unhealthy: String? { Heartbeat.complaint(of: threads.map(\.heartbeat)) }

  /// Why it would not serve a client now.
  public var unready: String? { files.serving.connections.isClosed ? "draining" : nil }

  /// What a person wants to see at a glance.
  public var overview: Overview {
    Overview(
      title: "serve", places: [name] + addresses.map { "\($0)" },
      charts: [
        .total("requests", files.requests.count), .total("bytes sent", files.sent.count, in: .bytes),
        .level("connections", UInt64(files.serving.connections.taken)),
      ])
  }

  /// Tells what is not told when it happens.
  public func report() { files.serving.report() }

  /// What each of its metrics is, by name, for a backend that tells.
  public static var metricsHelp: [String: String] { FileServing.metricsHelp }
}
