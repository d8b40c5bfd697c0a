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
//   mover duplex FD FD [auto|splice|copy]       both directions between two inherited sockets

import Splice
import SystemPackage

@main struct Mover {
  static func main() async throws {
    let arguments = CommandLine.arguments
    switch arguments[1] {
    case "blocking":
      var pipe = try SplicePipe()
      try pipe.forward(
        from: end(0), to: end(1), options: FlowOptions(via: via(arguments.dropFirst(2))), waitingIn: .poll)
    case "async":
      let executor = try EpollExecutor()
      let via = via(arguments.dropFirst(2))
      try await withTaskExecutorPreference(executor) {
        var pipe = try SplicePipe()
        try await pipe.forward(from: end(0), to: end(1), options: FlowOptions(via: via))
      }
    case "duplex":
      let executor = try EpollExecutor()
      try await withTaskExecutorPreference(executor) {
        var duplex = Duplex()
        let ends = arguments[2...3].compactMap { CInt($0) }
        try await duplex.run(
          between: end(ends[0]), and: end(ends[1]),
          options: Duplex.Options(FlowOptions(via: via(arguments.dropFirst(4)))))
      }
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
    try await withTaskExecutorPreference(EpollExecutor()) {
      var pipe = try SplicePipe(.memory)
      try await pipe.forward(from: end(0), to: end(1))
    }
  }

  static func number(_ index: Int) -> Int { Int(CommandLine.arguments[index]) ?? 0 }

  /// The measured program owns its descriptors, as C's does.
  static func end(_ number: CInt) -> Descriptor { Descriptor(owning: FileDescriptor(rawValue: number)) }

  static func via(_ rest: ArraySlice<String>) -> PathChoice {
    rest.first.flatMap(PathChoice.init) ?? .automatic
  }
}
