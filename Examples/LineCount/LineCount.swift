// A tap in a pipeline: standard input goes to standard output by reference, and an observer in line counts its lines.
//
//   tool | LineCount | tool    says how many lines there were, and each second how many bytes

import Foundation
import Splice

@main struct LineCount {
  static func main() async throws {
    let source = try Descriptor(duplicating: .standardInput)
    let sink = try Descriptor(duplicating: .standardOutput)
    let meter = ByteMeter()
    let lines = try FlowObserver(0) { lines, bytes in
      lines += bytes.withUnsafeBytes { $0.count { $0 == UInt8(ascii: "\n") } }
    }
    let progress = Task {
      while true {
        try await Task.sleep(for: .seconds(1))
        say("\(meter.passed.total) bytes")
      }
    }
    defer { progress.cancel() }

    var pipe = try SplicePipe()
    do throws(SpliceError) {
      try await pipe.forward(
        from: source, to: sink, options: FlowOptions(idle: .seconds(60), meter: meter), watchedBy: lines)
    } catch {
      say("\(error), \(pipe.count) bytes are left")
      exit(74)
    }
    say("\(lines.withState { $0 }) lines, \(meter.passed.splice) bytes by reference")
  }

  static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}
