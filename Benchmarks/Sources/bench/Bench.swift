// The command: arguments in, rows run one after another, the table out. A row that fails is reported and left
// out, and the others still run.

import Foundation

let usage = """
  usage: bench list
         bench run [ROW-PREFIX...] [options]
         bench draw PAGE.md CHART.svg      the chart of a page's table
         bench relay [LOAD-PREFIX...] [options]   beside the relays there are; without --bytes and --directory

    --pairs N         rounds of A, A and B per row (18; 15 for a verdict worth having)
    --bytes SIZE      moved per pass, instead of each row's own (64M, 1G)
    --output FILE     also write the table between the markers in FILE
    --directory DIR   where the cached files are made (the temporary directory)
    --pin CPUS,CPUS   bind the measured programs and their ends (1,0)

  """

@main
struct Bench {
  static func main() {
    do {
      try command(Array(CommandLine.arguments.dropFirst()))
    } catch {
      say("bench: \(error)")
      exit(1)
    }
  }

  private static func command(_ arguments: [String]) throws {
    switch arguments.first {
    case "list":
      for row in rows { print(row.id) }
    case "run":
      try run(Options(arguments.dropFirst()))
    case "draw" where arguments.count == 3:
      try chart(of: String(contentsOfFile: arguments[1], encoding: .utf8))
        .write(toFile: arguments[2], atomically: true, encoding: .utf8)
    case "relay":
      try race(Options(arguments.dropFirst()))
    default:
      throw Failure("list, run, draw or relay?\n\n\(usage)")
    }
  }

  private static func run(_ options: Options) throws {
    let chosen = rows.filter { row in
      options.prefixes.isEmpty || options.prefixes.contains { row.id.hasPrefix($0) }
    }
    guard !chosen.isEmpty else { throw Failure("no such row; see `bench list`") }

    findOurPrograms()
    let meter = Meter.available()
    if meter == nil { say("neither perf nor strace works here: system calls are not counted") }
    var contest = Contest(
      pairs: options.pairs, bytes: options.bytes, pinning: options.pinning, meter: meter,
      files: CachedFiles(in: options.directory))
    defer { contest.files.removeNewFiles() }
    var outcomes: [Outcome] = []
    for row in chosen {
      do {
        let outcome = try contest.outcome(of: row)
        say(outcome.summary)
        outcomes.append(outcome)
      } catch {
        say("\(row.id): \(error)")
      }
    }
    let text = table(outcomes, pairs: options.pairs, meter: meter)
    print(text, terminator: "")
    if let output = options.output { try replaceSection("bench", of: output, with: text) }
    guard outcomes.count == chosen.count else {
      throw Failure("\(chosen.count - outcomes.count) rows failed")
    }
  }

  private static func race(_ options: Options) throws {
    let pairs = options.pairs
    findOurPrograms()
    let meter = Meter.available()
    let chosen = loads.filter { load in
      options.prefixes.isEmpty || options.prefixes.contains { load.name.hasPrefix($0) }
    }
    let pinning = options.pinning ?? (measured: "1", ends: "0")
    var text = machine(pairs: pairs, meter: meter == .perf ? meter : nil) + "\n\n"
    if !chosen.isEmpty {
      var race = try Race(pairs: pairs, pinning: pinning, isCounting: meter == .perf)
      defer { race.stop() }
      text += raceHead
      for load in chosen {
        let lines = try race.rows(of: load).lines
        say(lines)
        text += lines
      }
    }
    if options.prefixes.isEmpty || options.prefixes.contains("idle") {
      text += "\n" + (try idleTable(pinning: pinning))
    }
    if options.prefixes.isEmpty || options.prefixes.contains("budget") {
      text += "\n" + (try budgetTable(pairs: pairs, pinning: pinning))
    }
    print(text, terminator: "")
    if let output = options.output { try replaceSection("relay", of: output, with: text) }
  }
}

/// Our own programs lie beside us, and everyone who looks for them (perf, taskset) does so through PATH.
private func findOurPrograms() {
  let ours = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
  let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
  unsafe setenv("PATH", "\(ours):\(path):/usr/sbin", 1)
}

private struct Options {
  var prefixes: [String] = []
  var pairs = 18
  var bytes: Int?
  var output: String?
  var directory = NSTemporaryDirectory()
  var pinning: (measured: String, ends: String)?

  init(_ arguments: ArraySlice<String>) throws {
    var rest = arguments
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("-") else {
        prefixes.append(argument)
        continue
      }
      guard let value = rest.popFirst() else { throw Failure("\(argument): a value is missing") }
      switch argument {
      case "--pairs": pairs = try size(value)
      case "--bytes": bytes = try size(value)
      case "--output": output = value
      case "--directory": directory = value
      case "--pin":
        let lists = value.split(separator: ",", maxSplits: 1).map(String.init)
        guard lists.count == 2 else { throw Failure("--pin \(value): two CPU numbers, as in 1,0") }
        pinning = (lists[0], lists[1])
      default: throw Failure("\(argument): no such option\n\n\(usage)")
      }
    }
  }
}

/// A positive number, with K, M or G for powers of 1024.
private func size(_ text: String) throws -> Int {
  let shift = ["K": 10, "M": 20, "G": 30][text.suffix(1)]
  guard let number = Int(shift == nil ? text[...] : text.dropLast()), number > 0,
    number <= Int.max >> (shift ?? 0)
  else {
    throw Failure("\(text): not a size")
  }
  return number << (shift ?? 0)
}

func say(_ text: String) {
  FileHandle.standardError.write(Data("\(text)\n".utf8))
}
