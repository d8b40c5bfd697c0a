// The words for the ends of a copy, the same everywhere: parsed here, opened in OpenEndpoint.

import ArgumentParser
import CSplice
import Splice
import SystemPackage

/// A source or a sink, as it was typed.
struct Endpoint: Sendable, Hashable {
  /// What the user wrote, by which messages call it. It carries bytes that are not text, and is escaped where
  /// it is printed.
  let word: String
  let place: Place
  /// Which of the endpoints of its command this is, counted from the source, or the first: two may have one
  /// name.
  private(set) var number = 0

  enum Place: Sendable, Hashable {
    case standard
    case inherited(Int32)
    case path(FilePath)
    case append(FilePath)
    case exec(String)
    case tcp(host: String, port: UInt16)
    case tcpListen(host: String, port: UInt16)
    case unix(String)
    case unixListen(String)
    case zero
    case null
    case digest(Digest.Algorithm)

    var isDigest: Bool { if case .digest = self { true } else { false } }
  }

  /// Whether it is a descriptor that was given to this program.
  var isInherited: Bool {
    switch place {
    case .standard, .inherited: true
    default: false
    }
  }

  static let help = """
    SOURCE and SINK are any of:
      -                       standard input, standard output
      PATH, file:PATH         file, fifo or device; a sink is created or truncated
      append:PATH             file, created or appended to (sink only)
      fd:N                    inherited descriptor
      tcp:HOST:PORT           connect; IPv6 is written tcp:[::1]:9000
      tcp-listen:[HOST:]PORT  accept one connection; HOST is 127.0.0.1 by default
      unix:PATH               connect to a unix socket; @NAME is an abstract one
      unix-listen:PATH        accept one connection on a unix socket
      exec:COMMAND            standard output, or input, of /bin/sh -c COMMAND
      zero:                   endless zeros (source only)
      null:                   empty as a source; discards what it gets as a sink
      digest:sha256           prints the digest at the end (sink only);
                              also sha512, md5

    SIZE takes K, M, G, T (powers of 1024) or KB, MB, GB, TB (powers of 1000).
    TIME takes ms, s, m, h; seconds without a unit.
    """

  /// Parses a word, or says what is wrong with it.
  init(parsing word: String) throws {
    self.word = word
    place = try Self.place(word)
  }

  /// This endpoint in its place among those of a command.
  func numbered(_ number: Int) -> Endpoint {
    var endpoint = self
    endpoint.number = number
    return endpoint
  }

  private static func place(_ word: String) throws -> Place {
    if word.isEmpty { throw ValidationError("an endpoint cannot be empty") }
    if word == "-" { return .standard }
    // Not by characters: a mark that combines with a colon or a slash does not hide it.
    let scalars = word.unicodeScalars
    guard let colon = scalars.firstIndex(of: ":"), !scalars[..<colon].contains("/") else {
      return .path(path(word))
    }
    let rest = String(scalars[scalars.index(after: colon)...])
    switch String(scalars[..<colon]) {
    case "file": return .path(path(try nonEmpty(rest, in: word)))
    case "tcp":
      let (host, port) = try hostAndPort(rest, in: word)
      guard let host else { throw ValidationError("'\(word)': write tcp:HOST:PORT") }
      return .tcp(host: host, port: port)
    case "tcp-listen":
      let (host, port) = try hostAndPort(rest, in: word)
      return .tcpListen(host: host ?? "127.0.0.1", port: port)
    case "unix": return .unix(try nonEmpty(rest, in: word))
    case "unix-listen": return .unixListen(try nonEmpty(rest, in: word))
    case "append": return .append(path(try nonEmpty(rest, in: word)))
    case "fd":
      guard !rest.isEmpty, rest.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int32(rest) else {
        throw ValidationError("'\(word)': a descriptor is a number")
      }
      return .inherited(number)
    case "exec": return .exec(try nonEmpty(rest, in: word, what: "command"))
    case "zero" where rest.isEmpty: return .zero
    case "null" where rest.isEmpty: return .null
    case "digest":
      guard let algorithm = Digest.Algorithm(rawValue: rest) else {
        let known = Digest.Algorithm.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("'\(word)': the digests are \(known) (a file of that name: file:\(word))")
      }
      #if Services
      return .digest(algorithm)
      #else
      throw ValidationError("digests are not in this build: it was made without the trait Services")
      #endif
    case let scheme:
      // A name such as 12:30.log is a file's.
      guard let first = scheme.utf8.first, UInt8(ascii: "A")...UInt8(ascii: "z") ~= first else {
        return .path(path(word))
      }
      throw ValidationError(
        "'\(word)': '\(scheme):' is no kind of endpoint (a file of that name: file:\(word))")
    }
  }

  /// Where `cp` would write a source to: in a directory, a file of the source's name. Itself where this is no
  /// directory, or the source has no name.
  func entered(by source: Endpoint) -> Endpoint {
    guard case .path(let path) = place, case .path = source.place, !["", ".", ".."].contains(source.name),
      (try? Syscall.status(of: path))?.type == S_IFDIR
    else { return self }
    return (try? Endpoint(parsing: "\(word)\(word.hasSuffix("/") ? "" : "/")\(source.name)"))?.numbered(
      number) ?? self
  }

  /// What is behind the last slash of its word, or behind the colon.
  private var name: String {
    let scalars = word.unicodeScalars
    let start =
      scalars.lastIndex { $0 == "/" } ?? (word.hasPrefix("file:") ? scalars.firstIndex { $0 == ":" } : nil)
    return start.map { String(scalars[scalars.index(after: $0)...]) } ?? word
  }

  private static func path(_ word: String) -> FilePath { FilePath(bytes: word.carriedBytes) }

  private static func nonEmpty(_ rest: String, in word: String, what: String = "path") throws -> String {
    if rest.isEmpty { throw ValidationError("'\(word)': a \(what) is missing") }
    return rest
  }

  /// `HOST:PORT`, `[HOST]:PORT` or `PORT`.
  static func hostAndPort(_ text: String, in word: String) throws -> (host: String?, port: UInt16) {
    let colon = text.lastIndex(of: ":")
    let digits = colon.map { text[text.index(after: $0)...] } ?? text[...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(digits)
    else {
      throw ValidationError("'\(word)': a port is a number up to 65535")
    }
    guard let colon else { return (nil, port) }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw ValidationError("'\(word)': write an IPv6 address as [\(host)]:\(port)")
    }
    if host.isEmpty { throw ValidationError("'\(word)': a host is missing") }
    return (String(host), port)
  }
}
