// Progress on standard error: one line that is drawn again, twice a second, and left in place at the end.
//
// The terminal's modes are never touched, its width is asked for at each drawing, and a line that cannot be
// written at once is left out: nothing is to be put back, however we end. Of several commands on one terminal
// one draws at a time.

import ArgumentParser
import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// Whether progress is shown.
enum ProgressMode: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, always, never
}

/// Draws how far a copy is.
struct Display {
  /// Bytes moved so far.
  var moved: UInt64 = 0
  /// How full the buffer is, where there is one.
  var fill: Double?
  /// How each of several sinks fares: a line each, below the first.
  var sinks: [SinkLine] = []
  private let total: UInt64?
  private let isShown: Bool
  /// Whether a line can be drawn again where it is; else each is a line of its own.
  private let isDrawnAgain: Bool
  private let interval: Duration
  private let turn: DrawingTurn?
  private let began = ContinuousClock.now
  private var due: ContinuousClock.Instant
  private var isDrawn = false
  /// Lines above the one the cursor is in.
  private var above = 0
  /// The newest is last; the rate is that of the last seconds.
  private var samples: [(time: ContinuousClock.Instant, moved: UInt64)]

  private static let samplesKept = 7

  /// For this many bytes, if that is known. Where the data itself goes to or comes from a terminal, progress
  /// is only drawn when that is asked for.
  init(_ mode: ProgressMode, total: UInt64?, dataIsOnTerminal: Bool = false) {
    self.total = total
    let isTerminal = Syscall.isTerminal(.standardError)
    isShown = mode == .always || (mode == .auto && isTerminal && !dataIsOnTerminal)
    isDrawnAgain = isTerminal && Syscall.environment("TERM") != "dumb"
    interval = isDrawnAgain ? .milliseconds(500) : .seconds(1)
    turn = isDrawnAgain && isShown ? DrawingTurn() : nil
    due = began + interval
    samples = [(began, 0)]
  }

  /// When to draw next; nil when nothing is shown.
  var next: ContinuousClock.Instant? { isShown ? due : nil }

  mutating func drawIfDue() {
    guard isShown, .now >= due else { return }
    draw()
    due = .now + interval
  }

  /// What there is to show, for SIGUSR1.
  mutating func answer() {
    sample()
    say(lines().joined(separator: isDrawnAgain ? "\u{1b}[K\r\n" : "\n"))
  }

  /// Text in lines of its own, above what is drawn again.
  mutating func say(_ text: String) {
    StandardDescriptors.complain(isDrawn && isDrawnAgain ? "\(home)\(text)\u{1b}[K" : text)
    above = 0
  }

  /// Leaves the last state behind, if there was any.
  mutating func end() {
    // A copy of less than a moment says nothing on a terminal.
    guard isShown, isDrawn || !isDrawnAgain else { return }
    draw()
    if isDrawnAgain { StandardDescriptors.write([UInt8(ascii: "\n")], patiently: true) }
    isDrawn = false
    turn?.end()
  }

  private mutating func draw() {
    sample()
    if let turn, !turn.isOurs() { return }
    let lines = lines()
    let text =
      isDrawnAgain
      ? "\(home)\(lines.joined(separator: "\u{1b}[K\r\n"))\u{1b}[K" : lines.map { "\($0)\n" }.joined()
    StandardDescriptors.write(Array(text.utf8), patiently: false)
    isDrawn = true
    above = lines.count - 1
  }

  /// Back to the beginning of what was drawn.
  private var home: String { isDrawn && above > 0 ? "\r\u{1b}[\(above)A" : "\r" }

  private mutating func sample() {
    samples.append((.now, moved))
    if samples.count > Self.samplesKept { samples.removeFirst() }
  }

  private func lines() -> [String] {
    let now = samples[samples.count - 1]
    let columns = (try? Syscall.columns(of: .standardError)).flatMap { $0 > 0 ? $0 : nil } ?? 80
    let width = isDrawnAgain ? columns - 1 : 100
    let first = ProgressLine(
      moved: moved, total: total, elapsed: now.time - began,
      recent: isStalled
        ? 0 : Self.rate(now.moved - min(now.moved, samples[0].moved), in: now.time - samples[0].time),
      average: Self.rate(moved, in: now.time - began), fill: fill
    ).text(columns: width)
    return [first] + sinks.map { $0.text(columns: width) }
  }

  /// Whether nothing has moved since the line was drawn last.
  private var isStalled: Bool { samples.count > 1 && samples[samples.count - 2].moved == moved }

  private static func rate(_ bytes: UInt64, in time: Duration) -> Double {
    let seconds = Double(time.nanoseconds) / 1e9
    return seconds > 0 ? Double(bytes) / seconds : 0
  }
}

/// The turn to draw on the terminal of standard error, which one of several commands has at a time.
///
/// A lock on the terminal, opened once more, so that commands that were given the same open file exclude each
/// other as well. It is never waited for, and the end of a process gives it back.  C: `flock`
private final class DrawingTurn {
  private var terminal: Descriptor?

  /// Whether it can be had now. Where the terminal cannot be opened it cannot be asked.
  func isOurs() -> Bool {
    if terminal != nil { return true }
    guard let opened = StandardDescriptors.reopenedTerminal(.standardError) else { return true }
    do throws(Errno) { try opened.withFileDescriptor(Syscall.lockNow) } catch { return error != .wouldBlock }
    terminal = consume opened
    return true
  }

  func end() { terminal = nil }
}

/// What a line of progress says of one of several sinks.
struct SinkLine: Sendable, Hashable {
  let word: String
  let fared: FanOut.Counters
  var hasFailed = false

  /// As much of it as fits.
  func text(columns: Int) -> String {
    var text = "\(ProgressLine.bytes(Double(fared.delivered))) \(word.escapedName)"
    if hasFailed {
      text += ", failed"
    } else if fared.lag > 0 {
      text += ", \(Self.bytes(UInt64(fared.lag))) behind"
    }
    if fared.skipped > 0 { text += ", missed \(Self.bytes(fared.skipped))" }
    return String(text.prefix(max(0, columns)))
  }

  private static func bytes(_ count: UInt64) -> String {
    String(ProgressLine.bytes(Double(count)).drop { $0 == " " })
  }
}

/// What a line of progress says.
struct ProgressLine: Sendable, Hashable {
  let moved: UInt64
  let total: UInt64?
  let elapsed: Duration
  /// Bytes a second, over the last seconds and since the beginning.
  let recent, average: Double
  /// How full the buffer is, where there is one.
  var fill: Double?

  /// As much of it as fits: in a narrow terminal the percentage and the time left stay longest.
  func text(columns: Int) -> String {
    var parts: [(Part, String)] = [
      (.bytes, Self.bytes(Double(moved))), (.clock, Self.clock(Int(elapsed.components.seconds))),
      (.recent, "[\(Self.bytes(recent))/s]"), (.average, "[\(Self.bytes(average))/s avg]"),
    ]
    if let fill { parts.append((.fill, "buffer \(Int((fill * 100).rounded()))%")) }
    if let end { parts.append((.end, end.text)) }
    var width: Int { parts.reduce(-1) { $0 + $1.1.count + 1 } }
    for part in [Part.average, .clock, .fill, .recent] where width > columns {
      parts.removeAll { $0.0 == part }
    }
    // A bar is worth its place from ten columns on, with its brackets and a space.
    if let end, columns - width >= 13 {
      parts.insert((.bar, Self.bar(end.share, columns: columns - width - 3)), at: parts.count - 1)
    }
    return String(parts.map(\.1).joined(separator: " ").prefix(max(0, columns)))
  }

  private enum Part { case bytes, clock, recent, average, fill, bar, end }

  /// How much of the total has moved, and when all of it will have; nil when the total is not known.
  private var end: (share: Double, text: String)? {
    guard let total, total > 0 else { return nil }
    let share = min(1, Double(moved) / Double(total))
    var text = "\(Int(share * 100))%"
    if moved < total, average > 0 {
      // Nobody waits for longer than a year.
      let left = Int(min(Double(total - moved) / average, 31_536_000).rounded(.up))
      text += " ETA \(recent > 0 ? Self.clock(left) : "-:--:--")"
    }
    return (share, text)
  }

  private static func bar(_ share: Double, columns: Int) -> String {
    let done = Int(share * Double(columns))
    let head = done < columns ? ">" : ""
    return
      "[\(String(repeating: "=", count: done))\(head)\(String(repeating: " ", count: columns - done - head.count))]"
  }

  /// Four significant places at the most: `1.25GiB`, ` 420MiB`.
  static func bytes(_ count: Double) -> String {
    var (value, unit) = (count, 0)
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while value >= 1000, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    var places = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
    func scaled() -> Int { Int((value * (places == 2 ? 100 : places == 1 ? 10 : 1)).rounded()) }
    // 9.996 is 10.0 and not 10.00.
    if places > 0, scaled() >= 1000 { places -= 1 }
    let digits = String(scaled())
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let number = places == 0 ? padded : "\(padded.dropLast(places)).\(padded.suffix(places))"
    return "\(String(repeating: " ", count: max(0, 4 - number.count)))\(number)\(units[unit])"
  }

  /// Hours, minutes and seconds.
  static func clock(_ seconds: Int) -> String {
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(seconds / 3600):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
  }
}
