// What a server says of itself to those who look after it.

/// A server that can be looked at while it runs.
public protocol Administered: Sendable {
  /// Why this process should be restarted; nil while all is well. A server that does not serve for a good
  /// reason (no upstream is up) is healthy.
  var unhealthy: String? { get }
  /// Why it would not serve a client now; nil when it would.
  var unready: String? { get }
  /// What a person wants to see at a glance.
  var overview: Overview { get }
  /// Tells swift-metrics what is not told when it happens, since it is about to be read.
  func report()
}

extension Administered {
  /// Healthy as long as it answers.
  public var unhealthy: String? { nil }
}

/// What a person wants to see of a server at a glance.
public struct Overview: Sendable, Hashable {
  /// What a number counts.
  public enum Unit: Sendable, Hashable {
    case bytes, count
  }

  /// A number that is drawn over the last minutes.
  public struct Chart: Sendable, Hashable {
    /// What it is.
    public var name: String
    /// What it counts.
    public var unit: Unit
    /// The number now; of one that only grows the rate is drawn.
    public var value: UInt64
    /// Whether it only grows.
    public var isTotal: Bool

    /// A number that goes up and down.
    public static func level(_ name: String, _ value: UInt64, in unit: Unit = .count) -> Chart {
      Chart(name: name, unit: unit, value: value, isTotal: false)
    }
    /// A number that only grows.
    public static func total(_ name: String, _ value: UInt64, in unit: Unit = .count) -> Chart {
      Chart(name: name, unit: unit, value: value, isTotal: true)
    }
  }

  /// Parts of a whole.
  public struct Shares: Sendable, Hashable {
    /// What it is.
    public var name: String
    /// What its parts count.
    public var unit: Unit
    /// Each part; the whole is their sum.
    public var parts: [Part]

    /// A whole.
    public init(_ name: String, in unit: Unit, _ parts: [Part]) {
      (self.name, self.unit, self.parts) = (name, unit, parts)
    }
  }

  /// A part of a whole.
  public struct Part: Sendable, Hashable {
    /// What it is.
    public var name: String
    /// How large it is.
    public var value: UInt64

    /// A part.
    public init(_ name: String, _ value: UInt64) { (self.name, self.value) = (name, value) }
  }

  /// What is in a cell of a table.
  public enum Cell: Sendable, Hashable {
    /// Words.
    case text(String)
    /// A number.
    case number(UInt64, Unit)
    /// Whether something is as it should be, and the word for it.
    case state(Bool, String)
  }

  /// Things with the same properties.
  public struct Table: Sendable, Hashable {
    /// What they are.
    public var name: String
    /// The properties.
    public var columns: [String]
    /// The things.
    public var rows: [[Cell]]

    /// A table; each row has as many cells as there are columns.
    public init(_ name: String, _ columns: [String], _ rows: [[Cell]]) {
      (self.name, self.columns, self.rows) = (name, columns, rows)
    }
  }

  /// A stream that browsers may play.
  public struct Player: Sendable, Hashable {
    /// Where it is on this host.
    public var port: UInt16
    /// The path of its URL.
    public var path: String
    /// Its content type.
    public var type: String

    /// A stream.
    public init(port: UInt16, path: String, type: String) {
      (self.port, self.path, self.type) = (port, path, type)
    }
  }

  /// What kind of server it is.
  public var title: String
  /// Where it is reached.
  public var places: [String]
  /// What is drawn.
  public var charts: [Chart]
  /// What is shown as parts of a whole.
  public var shares: [Shares]
  /// What is listed.
  public var tables: [Table]
  /// What is played, where the browser can.
  public var player: Player?

  /// What is shown.
  public init(title: String, places: [String], charts: [Chart], shares: [Shares] = [], tables: [Table] = []) {
    (self.title, self.places, self.charts) = (title, places, charts)
    (self.shares, self.tables) = (shares, tables)
  }
}
