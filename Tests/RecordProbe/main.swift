// Writes records to a file, and ends in the way that is asked for: RecordProbe MODE FILE NAME COUNT.
// A record is a line: the name, its number from 0 on, and a tail whose length follows from that.

import Foundation
import Splice
import SystemPackage

if CommandLine.arguments[1] == "hunt" {
  try Hunt.run(Array(CommandLine.arguments.dropFirst(2)))
  exit(0)
}

let (mode, path) = (CommandLine.arguments[1], FilePath(CommandLine.arguments[2]))
let (name, count) = (CommandLine.arguments[3], Int(CommandLine.arguments[4]) ?? 0)

func line(_ number: Int, of name: String) -> [UInt8] {
  Array("\(name) \(number) \(String(repeating: "x", count: number * 7 % 200))\n".utf8)
}

var options = PageWriter.Options()
options.whenFull = .wait
// Nothing is written before it has to be.
options.flushInterval = .seconds(3600)
let writer = try PageWriter(appendingTo: path, options: options)

/// Swift does not name it.
func forked() throws -> pid_t {
  typealias Fork = @convention(c) () -> pid_t
  guard let symbol = dlsym(nil, "fork") else { throw Errno.noFunction }
  return unsafeBitCast(symbol, to: Fork.self)()
}

switch mode {
case "return", "exit":
  for number in 0..<count { writer.write(line(number, of: name).span.bytes) }
  if mode == "exit" { exit(0) }
case "endless":
  // What was flushed is told of; what comes behind it is not.
  var number = 0
  while true {
    for _ in 0..<count {
      writer.write(line(number, of: name).span.bytes)
      number += 1
    }
    writer.flush()
    print(number)
    fflush(nil)
  }
case "crash":
  signal(SIGSEGV) { _ in
    writer.flush(for: .seconds(10))
    signal(SIGSEGV, SIG_DFL)
  }
  for number in 0..<count { writer.write(line(number, of: name).span.bytes) }
  UnsafeMutablePointer<Int>(bitPattern: 8)?.pointee = 1
case "fork":
  for number in 0..<count { writer.write(line(number, of: name).span.bytes) }
  let child = try forked()
  if child == 0 {
    for number in 0..<count { writer.write(line(number, of: "child").span.bytes) }
    exit(0)
  }
  var status: CInt = 0
  waitpid(child, &status, 0)
  // That its child wrote is nothing to it: its own records wait still.
  exit(status)
case "exit-beside":
  // One that takes nothing, begun before, and after.
  let pipes = try (0..<2).map { _ in try FileDescriptor.pipe() }
  let stuck = try pipes.map { try PageWriter(Descriptor(owning: $0.writeEnd), options: options) }
  for _ in 0..<100 { for writer in stuck { writer.write([UInt8](repeating: 0, count: 2000).span.bytes) } }
  for number in 0..<count { writer.write(line(number, of: name).span.bytes) }
  exit(0)
case "fork-full":
  // What its parent had no room for is nothing to a child.
  let pipe = try FileDescriptor.pipe()
  options.whenFull = .drop
  options.noting = { Array("\($0) missing\n".utf8) }
  let full = try PageWriter(Descriptor(owning: pipe.writeEnd), options: options)
  while full.write([UInt8](repeating: 0, count: 100_000).span.bytes) {}
  let child = try forked()
  if child == 0 {
    let isTaken = full.write("of the child\n")
    _exit(isTaken && full.counts.dropped == 0 && full.counts.written == 0 ? 0 : 1)
  }
  var status: CInt = 0
  waitpid(child, &status, 0)
  _exit(status == 0 ? 0 : 1)
case "fork-often":
  // While others begin and end.
  for _ in 0..<2 {
    Thread.detachNewThread {
      for _ in 0..<1_000_000 { _ = try? PageWriter(appendingTo: path).close() }
    }
  }
  for number in 0..<count {
    let child = try forked()
    if child == 0 {
      alarm(30)
      writer.write(line(number, of: name).span.bytes)
      _exit(writer.flush(for: .seconds(20)) ? 0 : 1)
    }
    var status: CInt = 0
    waitpid(child, &status, 0)
    if status != 0 { _exit(1) }
  }
  _exit(0)
default: exit(64)
}
