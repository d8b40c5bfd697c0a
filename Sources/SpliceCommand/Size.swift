// Sizes as people type them: 4096, 64K, 10M, 2G, 1T; powers of 1024.

import ArgumentParser

/// A number of bytes.
struct Size: ExpressibleByArgument, Sendable, Hashable {
  let bytes: UInt64

  init?(argument: String) {
    let powers: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]
    let power = argument.last.flatMap { powers[$0] }
    let digits = power == nil ? argument[...] : argument.dropLast()
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt64(digits)
    else {
      return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (power ?? 0))
    guard !overflow else { return nil }
    self.bytes = bytes
  }
}
