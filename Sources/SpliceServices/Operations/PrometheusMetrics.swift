// A backend of swift-metrics that keeps everything in this process and writes it as Prometheus reads it.
//
// A handler is found once, when a metric is made. From then on an update is an atomic operation: no lock and
// no memory.

import CoreMetrics
import Splice

/// Metrics as text: the exposition format of Prometheus, version 0.0.4.
///
/// ```swift
/// let metrics = PrometheusMetrics(help: Relay.metricsHelp)
/// let relay = try Relay(
///   on: [.tcp(host: "0.0.0.0", port: 5432)], to: [.tcp(host: "db1", port: 5432)], metrics: metrics)
/// print(metrics.text)
/// ```
///
/// A counter is a `counter`, a meter and a recorder that does not aggregate are a `gauge`; a timer is a
/// `histogram` in seconds, and a recorder that aggregates one in its own unit.
public final class PrometheusMetrics: MetricsFactory {
  private typealias Labels = [Label]

  private struct Label: Hashable, Comparable {
    let name, value: String
    static func < (one: Self, other: Self) -> Bool { (one.name, one.value) < (other.name, other.value) }
  }

  private enum Kind: String { case counter, gauge, histogram }

  /// All metrics of one name.
  private struct Family {
    let kind: Kind
    var members: [Labels: any Member] = [:]
  }

  private let families = Locked<[String: Family]>([:])
  private let help: [String: String]

  /// Upper bounds of the buckets of times, in seconds, and of everything else.
  private static let seconds = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ]
  private static let anything = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

  /// Without any metrics. `help` says in a sentence what those of a name are.
  public init(help: [String: String] = [:]) { self.help = help }

  /// The member of a family, which is made when it is not there yet. One whose name is taken by another kind
  /// is kept, and not shown.
  private func member<M: Member>(
    _ kind: Kind, _ name: String, _ dimensions: [(String, String)], _ make: () -> M
  ) -> M {
    let labels = dimensions.map { Label(name: Self.identifier($0.0), value: $0.1) }.sorted()
    return families.withLock { families in
      var family = families[Self.identifier(name)] ?? Family(kind: kind)
      guard family.kind == kind else { return make() }
      if let found = family.members[labels] as? M { return found }
      let made = make()
      family.members[labels] = made
      families[Self.identifier(name)] = family
      return made
    }
  }

  private func forget(_ member: AnyObject) {
    families.withLock { families in
      families = families.compactMapValues { family in
        let left = family.members.filter { $0.value !== member }
        return left.isEmpty ? nil : Family(kind: family.kind, members: left)
      }
    }
  }
}

// MARK: - What swift-metrics asks for

extension PrometheusMetrics {
  /// Only grows, and is written as a `counter`.
  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    member(.counter, label, dimensions) { Total() }
  }

  /// Goes up and down, and is written as a `gauge`.
  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    member(.gauge, label, dimensions) { Level() }
  }

  /// A `histogram` of what it is told when it aggregates, and the last of it, a `gauge`, otherwise.
  public func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    aggregate
      ? member(.histogram, label, dimensions) { Histogram(Self.anything) }
      : member(.gauge, label, dimensions) { Level() }
  }

  /// A `histogram` in seconds.
  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    member(.histogram, label, dimensions) { Histogram(Self.seconds) }
  }

  /// Not written from now on.
  public func destroyCounter(_ handler: any CounterHandler) { forget(handler) }
  /// Not written from now on.
  public func destroyMeter(_ handler: any MeterHandler) { forget(handler) }
  /// Not written from now on.
  public func destroyRecorder(_ handler: any RecorderHandler) { forget(handler) }
  /// Not written from now on.
  public func destroyTimer(_ handler: any TimerHandler) { forget(handler) }
}

// MARK: - As text

extension PrometheusMetrics {
  /// The media type of ``text``.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// Everything there is, now.
  public var text: String {
    var lines: [String] = []
    for (name, family) in families.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
      if let help = help[name] { lines.append("# HELP \(name) \(Self.escaped(help, quotes: false))") }
      lines.append("# TYPE \(name) \(family.kind.rawValue)")
      for (labels, member) in family.members.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        for (suffix, bound, value) in member.samples {
          let all =
            labels.map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }
            + (bound.map { ["le=\"\($0)\""] } ?? [])
          lines.append("\(name)\(suffix)\(all.isEmpty ? "" : "{\(all.joined(separator: ","))}") \(value)")
        }
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  /// As the format has it: it knows line feeds, and other characters that act on a terminal are escaped
  /// before.
  private static func escaped(_ text: String, quotes: Bool) -> String {
    text.replacingScalars { scalar in
      switch scalar {
      case "\n": "\\n"
      case "\\": "\\\\"
      case "\"" where quotes: "\\\""
      default: scalar.needsEscape ? "\\" + String(scalar).escaped : nil
      }
    }
  }

  /// Letters, digits and `_`, of which digits do not come first.
  private static func identifier(_ name: String) -> String {
    let plain = String(
      name.unicodeScalars.map { $0.isASCII && $0.properties.isXIDContinue ? Character($0) : "_" })
    return plain.first?.isNumber == false ? plain : "_" + plain
  }
}

/// Something with values.
private protocol Member: AnyObject, Sendable {
  /// What follows the name, the upper bound of a bucket, and the value.
  var samples: [(suffix: String, bound: String?, value: String)] { get }
}

// MARK: - The three kinds

/// Only grows.
private final class Total: CounterHandler, Member {
  private let value = AtomicCounter(0)
  func increment(by amount: Int64) { value.add(UInt64(max(0, amount))) }
  func reset() { value.set(0) }
  var samples: [(suffix: String, bound: String?, value: String)] { [("", nil, "\(value.count)")] }
}

/// Goes up and down.
private final class Level: MeterHandler, RecorderHandler, Member {
  private let value = AtomicCounter(0)
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.set(value.bitPattern) }
  func increment(by amount: Double) { value.add(number: amount) }
  func decrement(by amount: Double) { value.add(number: -amount) }
  func record(_ value: Int64) { set(value) }
  func record(_ value: Double) { set(value) }
  var samples: [(suffix: String, bound: String?, value: String)] { [("", nil, value.number.exposition)] }
}

/// How often what came lies below each of some bounds.
private final class Histogram: TimerHandler, RecorderHandler, Member {
  private let bounds: [Double]
  /// One for each bound, and one for what is above all.
  private let counts: [AtomicCounter]
  private let sum = AtomicCounter(0)

  init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = (0...bounds.count).map { _ in AtomicCounter(0) }
  }

  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
  func record(_ value: Int64) { record(Double(value)) }
  func record(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count].add(1)
    sum.add(number: value)
  }

  var samples: [(suffix: String, bound: String?, value: String)] {
    var samples: [(suffix: String, bound: String?, value: String)] = []
    var count: UInt64 = 0
    for (bound, cell) in zip(bounds + [.infinity], counts) {
      count += cell.count
      samples.append(("_bucket", bound.exposition, "\(count)"))
    }
    return samples + [("_sum", nil, sum.number.exposition), ("_count", nil, "\(count)")]
  }
}
