// What is counted rather than timed: a separate run, with each stage under a tool that writes its count to a
// file. `perf` counts in the kernel; `strace` stops at every call, which shifts what a socket has ready, so
// it is the second choice. Instructions (`valgrind --tool=callgrind`) would be a third case.

import Foundation

enum Meter: String {
  case perf, strace

  /// The first that works here, if any does.
  static func available() -> Meter? {
    [perf, strace].first { meter in
      (try? meter.count([["true"]]) { _ = try run($0.map { Program(argv: $0, descriptors: [:]) }) }) != nil
    }
  }

  /// System calls of all stages together, from their start (`execve` counts) to their end.
  func count(_ stages: [[String]], run: ([[String]]) throws -> Void) throws -> Int {
    let reports = stages.indices.map { "\(NSTemporaryDirectory())/bench.\(getpid()).\($0)" }
    defer { for report in reports { unsafe unlink(report) } }
    try run(zip(stages, reports).map { wrap($0, into: $1) })
    return try reports.reduce(0) { sum, report in
      guard let count = parse(try String(contentsOfFile: report, encoding: .utf8)) else {
        throw Failure("\(rawValue): no count in its report")
      }
      return sum + count
    }
  }

  private func wrap(_ argv: [String], into report: String) -> [String] {
    switch self {
    case .perf: ["perf", "stat", "-e", "raw_syscalls:sys_enter", "-x", ",", "-o", report, "--"] + argv
    case .strace: ["strace", "-f", "-c", "-o", report, "--"] + argv
    }
  }

  func parse(_ report: String) -> Int? {
    let lines = report.split(separator: "\n")
    switch self {
    case .perf:  // 29,,raw_syscalls:sys_enter,...
      return lines.first { $0.contains("sys_enter") && !$0.hasPrefix("#") }
        .flatMap { Int($0.prefix { $0 != "," }) }
    case .strace:  // 100.00  0.000000  0  29  1 total
      return lines.last { $0.hasSuffix("total") }
        .flatMap { Int($0.split(separator: " ").dropFirst(3).first ?? "") }
    }
  }
}
