// The library as a mover, for the rows where C does the same: standard input to standard output, or two sockets relayed.
//
//   mover blocking|async [auto|splice|copy]     standard input to standard output
//   mover memory blocking|async                 the same through a pipe in user memory
//   mover write kernel|memory BLOCK TOTAL       blocks through a pipe within this process
//   mover tee|move TOTAL                        slots of pipes in memory
//   mover give write|pages|ring BLOCK TOTAL     memory that is filled anew each time
//   mover sequence direct|pipe TOTAL            buffers from one task to another
//   mover fan SLOTS SINK...                     standard input to many (Spread.swift); 0 slots: as many as it chooses
//   mover crowd SLOTS COUNT                     standard input to so many times /dev/null
//   mover relay PORT COUNT                      so many connections, to that port; prints its own
//   mover page sealed|file|write BYTES SINKS ROUNDS PORT
//                                               a page made anew each round, to so many sockets; prints its CPU seconds
//   mover duplex FD FD [auto|splice|copy]       both directions between two inherited sockets

import Dispatch
import Glibc
import Splice
import SystemPackage

@main struct Mover {
  /// On one thread of its own, while the main thread waits: the pool of libdispatch does not run under valgrind,
  /// which does not survive a main thread that has ended either.
  static func main() throws {
    let over = DispatchSemaphore(value: 0)
    Task(executorPreference: try EpollExecutor()) {
      do { try await run() } catch { fatalError("\(error)") }
      over.signal()
    }
    over.wait()
  }

  private static func run() async throws {
    let arguments = CommandLine.arguments
    switch arguments[1] {
    case "blocking":
      var pipe = try SplicePipe()
      try pipe.forward(
        from: end(0), to: end(1), options: FlowOptions(via: via(arguments.dropFirst(2))), waitingIn: .poll)
    case "async":
      var pipe = try SplicePipe()
      try await pipe.forward(
        from: end(0), to: end(1), options: FlowOptions(via: via(arguments.dropFirst(2))))
    case "duplex":
      var duplex = Duplex()
      try await duplex.run(
        between: end(CInt(number(2))), and: end(CInt(number(3))),
        options: Duplex.Options(FlowOptions(via: via(arguments.dropFirst(4)))))
    case "relay": try await relay(to: UInt16(number(2)), count: number(3))
    case "fan": try await Spread.run(slots: number(2), sinks: arguments.dropFirst(3))
    case "crowd":
      try await Spread.run(slots: number(2), sinks: Array(repeating: "null", count: number(3))[...])
    case "memory": try await memory(isAsync: arguments[2] == "async")
    case "write":
      try Within.writeAndRead(
        SplicePipe.Storage(rawValue: arguments[2]) ?? .memory, block: number(3), total: number(4))
    case "tee": try Within.tee(total: number(2))
    case "give": try Within.give(arguments[2], block: number(3), total: number(4))
    case "sequence": try await Within.sequence(arguments[2], total: number(3))
    case "page":
      try Page.run(
        arguments[2], bytes: number(3), sinks: number(4), rounds: number(5), port: UInt16(number(6)))
    case "move": try Within.move(total: number(2))
    default: preconditionFailure("see the top of Mover.swift")
    }
  }

  static func memory(isAsync: Bool) async throws {
    guard isAsync else {
      var pipe = try SplicePipe(.memory)
      try pipe.forward(from: end(0), to: end(1), waitingIn: .poll)
      return
    }
    var pipe = try SplicePipe(.memory)
    try await pipe.forward(from: end(0), to: end(1))
  }

  /// One connection after the other.
  static func relay(to upstream: UInt16, count: Int) async throws {
    let listener = try Listener(host: "127.0.0.1", port: 0)
    print(listener.address.port ?? 0)
    fflush(nil)
    for _ in 0..<count {
      let client = try await listener.accept()
      let server = try await Descriptor.connect(host: "127.0.0.1", port: upstream)
      try client.setNoDelay()
      try server.setNoDelay()
      var duplex = Duplex()
      try await duplex.run(between: client, and: server)
    }
  }

  static func number(_ index: Int) -> Int { Int(CommandLine.arguments[index]) ?? 0 }

  /// The measured program owns its descriptors, as C's does.
  static func end(_ number: CInt) -> Descriptor { Descriptor(owning: FileDescriptor(rawValue: number)) }

  static func via(_ rest: ArraySlice<String>) -> PathChoice {
    rest.first.flatMap(PathChoice.init) ?? .automatic
  }
}
