// libFuzzer as a library: what to do with an input is told to it, and what must hold of it.

import CFuzzer
import Glibc

/// Hands each input that libFuzzer makes up to `check`, until the time is over that the command line says.
/// SwiftPM wants a main of its own, which calls this.
public func fuzz(_ check: @escaping @Sendable ([UInt8]) -> Void) -> Never {
  unsafe checks = check
  var count = CommandLine.argc
  var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
  exit(unsafe LLVMFuzzerRunDriver(&count, &words, checkOne))
}

/// Written before the first input, and read on the same thread.
nonisolated(unsafe) private var checks: @Sendable ([UInt8]) -> Void = { _ in }

/// Called by libFuzzer, whose the bytes are, with each input. Its own main is linked, too, and wants this
/// name.
@_cdecl("LLVMFuzzerTestOneInput")
public func checkOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  unsafe checks(bytes)
  return 0
}

/// Ends the run with a finding unless something holds. Says what it was in a build with optimisations, too,
/// as `precondition` does not.
public func expect(_ holds: Bool, _ what: @autoclosure () -> String, line: UInt = #line) {
  if !holds { fatalError(what(), line: line) }
}
