// A line for each request, as the logs of web servers have it.

import Splice

/// One request and its answer.
public struct AccessRecord: Sendable, Hashable {
  /// Who asked.
  public let client: String
  /// What was asked; as it came, and not to be trusted.
  public let method, target, version: String
  /// What was answered.
  public let status: UInt
  /// Bytes of the answer that the socket accepted, without its head.
  public let bytes: UInt64
  /// Where the client says it came from, and what it is.
  public let referer, agent: String?
  /// From the request to the last byte.
  public let duration: Duration

  /// The "combined" format: what breaks a line or a quotation is escaped.
  public var combined: String {
    let request = "\(method) \(target) \(version)"
    return "\(client) - - [\(CalendarTime.now.common)] \"\(request.quotable)\" \(status) \(bytes)"
      + " \"\((referer ?? "-").quotable)\" \"\((agent ?? "-").quotable)\""
  }
}

extension String {
  /// As nginx has it.
  fileprivate var quotable: String {
    if utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      return self
    }
    return utf8.map { byte in
      if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
        return String(UnicodeScalar(byte))
      }
      let digits = String(byte, radix: 16, uppercase: true)
      return "\\x" + (digits.count < 2 ? "0" : "") + digits
    }.joined()
  }
}
