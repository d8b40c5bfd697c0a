// A relay, planned and carried out: listen, say so, serve until a signal comes, let those who are there finish.

import Logging
import ServiceLifecycle
import Splice
import SpliceServices
import SystemPackage

/// What is to be done.
struct RelayPlan: Sendable {
  let listen: Relay.Address
  let upstreams: [Relay.Address]
  let options: Relay.Options
  let tapUpstream, tapDownstream: [Endpoint]
  let logLevel: Logger.Level

  /// Does it, and answers with the status to exit with.
  func run() -> Status {
    let stop = Signals.begin()
    var logger = Logger(label: "splice.relay", factory: { StreamLogHandler.standardError(label: $0) })
    logger.logLevel = logLevel
    var options = options
    let taps: [Tap]
    do throws(Errno) {
      options.taps = try Duplex.Taps(forward: fan(for: tapUpstream), backward: fan(for: tapDownstream))
      taps = try begin(options.taps, logger)
    } catch {
      StandardDescriptors.complain("splice: relay: tap: \(error)")
      return .noSink
    }
    let relay: Relay
    do throws(Relay.Failure) {
      relay = try Relay(on: [listen], to: upstreams, options: options, logger: logger)
    } catch {
      StandardDescriptors.complain("splice: \(error)")
      return .noSink
    }
    for address in relay.addresses { StandardDescriptors.complain("splice: \(address): listening") }
    let status = Server.run(relay, stoppedBy: stop, logger)
    for tap in taps { tap.finish() }
    return status
  }

  private func fan(for taps: [Endpoint]) throws(Errno) -> FanOut? { taps.isEmpty ? nil : try FanOut() }

  private func begin(_ fans: Duplex.Taps, _ logger: Logger) throws(Errno) -> [Tap] {
    var taps: [Tap] = []
    for (fan, endpoints) in [(fans.forward, tapUpstream), (fans.backward, tapDownstream)] {
      guard let fan else { continue }
      for endpoint in endpoints { taps.append(try Tap(endpoint, on: fan, logger)) }
    }
    return taps
  }
}

/// A service that runs until a signal comes.
enum Server {
  /// The first signal lets what runs finish; the same one again ends the process.
  static func run(_ service: any Service, stoppedBy stop: Stop?, _ logger: Logger) -> Status {
    let group = ServiceGroup(services: [service], logger: logger)
    guard let end = try? Event() else { return .bug }
    let outcome = Locked(Status.done)
    Task {
      do { try await group.run() } catch {
        logger.critical("ended by an error", metadata: ["error": "\(error)"])
        outcome.withLock { $0 = .bug }
      }
      end.signal()
    }
    while !end.isSignalled, stop?.isStopped != true {
      try? Poll(orStoppedBy: stop).wait(forAnyOf: [end.interest], atMost: nil)
    }
    if stop?.isStopped == true { Task { await group.triggerGracefulShutdown() } }
    while !end.isSignalled { try? Poll().wait(forAnyOf: [end.interest], atMost: nil) }
    return outcome.withLock { $0 }
  }
}
