// The library as a mover, for the rows where C does the same: standard input to standard output, or two sockets relayed.
//
//   mover blocking|async [auto|splice|copy]     standard input to standard output
//   mover duplex FD FD [auto|splice|copy]       both directions between two inherited sockets

import Splice
import SystemPackage

@main struct Mover {
  static func main() async throws {
    let arguments = CommandLine.arguments
    switch arguments[1] {
    case "blocking":
      var pipe = try SplicePipe()
      try pipe.splice(from: end(0), to: end(1), via: via(arguments.dropFirst(2)), waitingIn: .poll)
    case "async":
      let executor = try EpollExecutor()
      let via = via(arguments.dropFirst(2))
      try await withTaskExecutorPreference(executor) {
        var pipe = try SplicePipe()
        try await pipe.splice(from: end(0), to: end(1), via: via)
      }
    case "duplex":
      let executor = try EpollExecutor()
      try await withTaskExecutorPreference(executor) {
        var duplex = try Duplex()
        let ends = arguments[2...3].compactMap { CInt($0) }
        try await duplex.run(between: end(ends[0]), and: end(ends[1]), via: via(arguments.dropFirst(4)))
      }
    default: preconditionFailure("see the top of Mover.swift")
    }
  }

  /// The measured program owns its descriptors, as C's does.
  static func end(_ number: CInt) -> Descriptor { Descriptor(owning: FileDescriptor(rawValue: number)) }

  static func via(_ rest: ArraySlice<String>) -> Via { rest.first.flatMap(Via.init) ?? .automatic }
}
