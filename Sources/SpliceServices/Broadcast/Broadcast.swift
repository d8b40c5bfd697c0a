// A live source for everybody who watches, and recorded at the same time.
//
// The source is handed to a fan-out, whose sinks are the viewers and the recorder: bytes are not copied on
// their way, and nobody waits for anybody. Viewers come by `Viewers`, those over HTTP through the `ViewerDoor`;
// the `Recorder` has a thread of its own; a `Mount` is what they share.

import CoreMetrics
import Logging
import ServiceLifecycle
import Splice
import Synchronization
import SystemPackage

/// Sends a live stream to everybody who watches, as it comes, and records it.
///
/// ```swift
/// var options = Broadcast.Options()
/// options.recording = Broadcast.RecordingOptions(path: "show.ts")
/// options.alignment = 188
/// let broadcast = try Broadcast(
///   of: .listening(.tcp(host: "127.0.0.1", port: 9000)), http: [.tcp(host: "0.0.0.0", port: 8000)],
///   options: options)
/// try await ServiceGroup(services: [broadcast], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public final class Broadcast: Service {
  /// Where the stream comes from.
  public enum Source: ~Copyable, Sendable {
    /// What is open already, and its name in the log. The broadcast ends with it.
    case descriptor(Descriptor, name: String)
    /// Those who connect here, one after the other.
    case listening(ServerAddress)
    /// Another server, as an edge has its origin: it is asked again when its stream ends or cannot be had.
    case http(HTTPOrigin)
  }

  /// What becomes of a viewer that cannot keep up.
  public enum SlowViewers: String, Sendable, Hashable, CaseIterable {
    /// It reads what it missed from the recording, and joins the others again.
    case replay
    /// It misses whole units, which are counted.
    case skip
    /// It is let go: its connection is reset.
    case detach
  }

  /// How it is done.
  public struct Options: Sendable {
    /// Cuts are made at multiples of this many bytes only: where a viewer begins, where one that is slow goes
    /// on, where the next file begins. 188 for MPEG-TS; 60 KiB at most.
    public var alignment = 1
    /// What becomes of a viewer that cannot keep up. Nil: `replay` when it is recorded, else `skip`.
    public var whenSlow: SlowViewers?
    /// A viewer begins so many bytes back, as far as they are recorded.
    public var backlog: UInt64 = 0
    /// No more viewers at once. Nil: as many as this process has descriptors for.
    public var maxViewers: Int?
    /// Whether it ends with the first sender, or answer of an origin, and does not wait for the next.
    public var once = false
    /// Bytes a second that are taken from the source.
    public var rateLimit: UInt64?
    /// Where it is over HTTP.
    public var path = "/live"
    /// What it is, over HTTP.
    public var contentType = "application/octet-stream"
    /// Where it is recorded.
    public var recording: RecordingOptions?
    /// Threads that serve viewers.
    public var threads = 1
    /// Descriptors that this process needs for other things.
    public var otherDescriptors = 0
    /// How long viewers have for what is left once the stream has ended or the broadcast is to end.
    public var drainTimeout = Duration.seconds(30)

    /// The usual.
    public init() {}

    var slowViewers: SlowViewers { whenSlow ?? (recording == nil ? .skip : .replay) }
  }

  let mount: Mount
  private let sources: Listeners?
  private let httpListeners, plainListeners: Listeners
  private let door: ViewerDoor
  private let opened: Mutex<Descriptor?>
  private let origin: HTTPOrigin?
  private let name: String
  let threads: [(executor: OwnExecutor, heartbeat: Heartbeat)]
  private let care: MaintenanceThread

  /// Listens, so that viewers and senders may come from now on; they are served by ``run()``.
  ///
  /// - Parameters:
  ///   - source: Where the stream comes from.
  ///   - http: Where viewers come to who ask for it by HTTP.
  ///   - plain: Where viewers come to who get it without a word, by TCP or a unix socket.
  ///   - options: How.
  ///   - metrics: Gets what is measured.
  ///   - logger: Gets a line for each source and each viewer.
  /// - Throws: ``ServerAddress/Unusable`` for an address that cannot be listened on, and ``Unusable`` for what
  ///   cannot be recorded.
  public convenience init(
    of source: consuming Source, http: [ServerAddress] = [], plain: [ServerAddress] = [],
    options: Options = Options(), metrics: any MetricsFactory = MetricsSystem.factory,
    logger: Logger = Logger(label: "splice.broadcast")
  ) throws {
    try self.init(
      of: source, http: http, plain: plain, options: options, metrics: metrics, logger: logger, stoppedBy: nil
    )
  }

  /// What cannot be done, before anybody is served.
  public struct Unusable: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file, or what else it is about.
    public let what: String
    /// Why.
    public let reason: String

    /// What, and why.
    public var description: String { "\(what): \(reason)" }
  }

  /// `stop` ends the wait for a resolver, which is a failure then.
  package init(
    of source: consuming Source, http: [ServerAddress], plain: [ServerAddress], options: Options,
    metrics: any MetricsFactory, logger: Logger, stoppedBy stop: StopFlag?
  ) throws {
    let count = max(1, options.threads)
    // What may be refused for good comes first, and sockets last.
    do throws(Errno) {
      mount = try Mount(options, metrics, logger)
      threads = try (0..<count).map { number throws(Errno) in
        let name = "splice-cast-\(number)"
        return (try OwnExecutor(name: name), Heartbeat(of: name))
      }
      care = try MaintenanceThread()
    } catch {
      throw Unusable(
        what: options.recording.map { "record: \($0.path.string.escaped)" } ?? "broadcast", reason: "\(error)"
      )
    }
    // Peers that are silent may have gone.
    let tcp = TCPOptions(keepalive: .seconds(20))
    httpListeners = try Listeners(on: http, sharedBy: count, tcp: tcp, stoppedBy: stop)
    plainListeners = try Listeners(on: plain, sharedBy: count, tcp: tcp, resetting: true, stoppedBy: stop)
    var own: Descriptor?
    var origin: HTTPOrigin?
    switch consume source {
    case .descriptor(let descriptor, let name):
      own = consume descriptor
      (self.name, sources) = (name, nil)
    case .http(let there):
      (name, sources, origin) = ("\(there)", nil, there)
    case .listening(let address):
      (name, sources) = (
        "\(address)", try Listeners(on: [address], tcp: tcp, resetting: true, stoppedBy: stop)
      )
    }
    opened = Mutex(own.take())
    self.origin = origin
    door = ViewerDoor(to: mount)
  }

  /// Where viewers come to over HTTP, with the ports that were chosen for 0.
  public var httpAddresses: [ServerAddress] { httpListeners.bound }
  /// Where viewers come to who say nothing.
  public var plainAddresses: [ServerAddress] { plainListeners.bound }
  /// Where senders come to.
  public var sourceAddresses: [ServerAddress] { sources?.bound ?? [] }

  /// Why the source failed, if it did.
  public var sourceFailure: SpliceError? { mount.sourceFailure }

  /// Bytes of the stream that were to be recorded and were not.
  public var notRecorded: UInt64 { mount.recorder?.state.missed ?? 0 }

  /// Ends the file that is recorded and begins the next one.
  public func reopenRecording() { mount.recorder?.reopen() }

  /// Serves until the source has ended, it is cancelled or shut down gracefully: then the stream ends for
  /// viewers and the recording, who have the drain timeout for what is left.
  public func run() async throws {
    try? await Task.sleep(nanoseconds: 1)
    try mount.recorder?.begin()
    let feeding = Task(executorPreference: threads[0].executor.executor) { await self.feed() }
    await withGracefulShutdownHandler {
      await withTaskCancellationHandler {
        await serve(until: feeding)
      } onCancel: {
        feeding.cancel()
      }
    } onGracefulShutdown: { [mount, httpListeners, plainListeners] in
      // A successor has the paths while this one drains.
      httpListeners.close()
      plainListeners.close()
      mount.serving.drain()
      feeding.cancel()
    }
    httpListeners.close()
    plainListeners.close()
    sources?.close()
    report()
  }

  private func serve(until feeding: Task<Void, Never>) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [care] in
        await withTaskCancellationHandler {
          await self.tell()
        } onCancel: {
          care.wakeAll()
        }
      }
      await withDiscardingTaskGroup { viewers in
        for (index, thread) in threads.enumerated() {
          viewers.addTask(executorPreference: thread.executor.executor) {
            await self.serveViewers(on: index)
          }
        }
        await feeding.value
        // The end of the stream, for all of them.
        mount.fan.finish()
        if !mount.serving.connections.isClosed { mount.serving.close() }
      }
      await endRecording()
      group.cancelAll()
    }
  }

  private func serveViewers(on index: Int) async {
    let (executor, heartbeat) = (threads[index].executor.executor, threads[index].heartbeat)
    guard let over = try? Event() else { return }
    async let beating: Void = heartbeat.run(on: executor, until: over)
    await withDiscardingTaskGroup { group in
      let plain = Acceptor<PlainViewer>(for: mount, mount.serving, on: executor)
      for listener in plainListeners.sockets[index] { group.addTask { await plain.serve(listener) } }
      let http = Acceptor<HTTPViewer>(
        for: HTTPViewer.Server(mount: mount, door: door), mount.serving, on: executor)
      for listener in httpListeners.sockets[index] { group.addTask { await http.serve(listener) } }
    }
    over.signal()
    await beating
  }

  /// Until the source has ended, or it is cancelled.
  private func feed() async {
    let executor = threads[0].executor.executor
    if let source = opened.withLock({ $0.take() }) {
      mount.sourceFailure = await mount.feed(name, mayFollow: { false }) {
        try await mount.hand(from: source, on: executor)
      }
    } else if let origin {
      mount.sourceFailure = await mount.feed(from: origin, on: executor, door.loop)
    } else if let sources {
      await withTaskCancellationHandler {
        let acceptor = Acceptor<Sender>(for: mount, mount.senders, on: executor)
        await acceptor.serve(sources.sockets[0][0])
      } onCancel: {
        mount.senders.close()
      }
      // What the last one ended with of a unit is the end of the stream.
      _ = try? mount.fan.endUnit(dropping: false)
    }
  }

  private func endRecording() async {
    guard let recorder = mount.recorder else { return }
    await wait(for: recorder.ended, until: mount.serving.drainEnd)
    recorder.end()
    // For what the disk has begun to do.
    await wait(for: recorder.ended, until: .now + .seconds(5))
    if !recorder.ended.isSignalled {
      mount.logger.error("the disk does not answer: the recording has not ended")
    }
  }

  private func wait(for event: Event, until deadline: ContinuousClock.Instant) async {
    let key = care.executor.attach(event.descriptor)
    defer { care.executor.detach(key) }
    while !event.isSignalled, deadline > .now {
      do throws(Errno) {
        _ = try await care.executor.wait(for: Interest(key, as: .source), or: nil, until: deadline)
      } catch { await care.sleep(until: min(deadline, .now + .milliseconds(100))) }
      if Task.isCancelled { return }
    }
  }

  /// Whether all of the recording is there, under names of its own, once this has run.
  public var isRecorded: Bool {
    guard let recorder = mount.recorder else { return true }
    return recorder.ended.isSignalled && recorder.state.unnamed == 0 && notRecorded == 0
  }

  /// How often what is not told when it happens is told.
  private static let telling = Duration.seconds(5)

  private func tell() async {
    while !Task.isCancelled {
      report()
      mount.measures.tellLags(of: mount.viewers)
      await care.sleep(until: .now + Self.telling)
      if !Task.isCancelled { mount.serving.sayDraining(after: Self.telling) }
    }
  }
}
