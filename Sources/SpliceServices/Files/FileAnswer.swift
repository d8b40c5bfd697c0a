// What a request is answered: decided from its head and from what its path leads to.

import NIOHTTP1

/// The head of an answer, and what follows it.
struct FileAnswer: Sendable {
  var status: HTTPResponseStatus
  var headers: [(name: String, value: String)] = []
  var body = Body.none

  enum Body: Sendable {
    /// Of length 0, or of none for a status that has none.
    case none
    case text(String)
    /// Of a file, from `range` on.
    case file(ServedFile.Form, Range<UInt64>)
    /// Several stretches, each behind a text, and a text at the end.
    case parts(ServedFile.Form, [(head: String, range: Range<UInt64>)], end: String)
  }

  /// How many bytes follow the head.
  var length: UInt64 {
    switch body {
    case .none: 0
    case .text(let text): UInt64(text.utf8.count)
    case .file(_, let range): range.upperBound - range.lowerBound
    case .parts(_, let parts, let end):
      parts.reduce(UInt64(end.utf8.count)) {
        $0 + UInt64($1.head.utf8.count) + $1.range.upperBound - $1.range.lowerBound
      }
    }
  }

  /// One that says what is wrong.
  static func refusal(_ status: HTTPResponseStatus, _ headers: [(name: String, value: String)] = []) -> Self {
    FileAnswer(
      status: status, headers: headers + [("content-type", "text/plain; charset=utf-8")],
      body: .text("\(status.code) \(status.reasonPhrase)\n"))
  }

  /// That it is elsewhere.
  static func moved(to place: String) -> Self {
    var answer = refusal(.movedPermanently)
    answer.headers.append(("location", place))
    return answer
  }
}

extension FileAnswer {
  /// A file, or a part of it, or that there is nothing new.
  ///
  /// - Parameters:
  ///   - file: What is to be sent.
  ///   - name: By whose end its type is told.
  ///   - headers: Of the request.
  ///   - isGet: Whether it is GET, which alone may ask for a part.
  ///   - cacheControl: How long it may be kept.
  ///   - now: The date.
  init(
    _ file: ServedFile, named name: [UInt8], for headers: HTTPHeaders, isGet: Bool, cacheControl: String?,
    now: HTTPDate
  ) {
    let accepted = file.codings.isEmpty ? [] : AcceptedCodings(headers.list("accept-encoding")).codings
    let coding = accepted.first { file.codings[$0] != nil }
    let form = coding.flatMap { file.codings[$0] } ?? file.plain
    let conditions = Conditions(headers)
    var common = [(name: "etag", value: "\(form.tag)"), ("last-modified", "\(min(form.modified, now))")]
    if !file.codings.isEmpty { common.append(("vary", "accept-encoding")) }
    if let cacheControl { common.append(("cache-control", cacheControl)) }
    switch conditions.verdict(form.tag, modified: form.modified, now: now) {
    case .proceed: break
    case .failed:
      self = .refusal(.preconditionFailed)
      return
    case .notModified:
      self.init(status: .notModified, headers: common)
      return
    }
    let type = ContentType.of(name)
    common += [("accept-ranges", "bytes"), ("x-content-type-options", "nosniff")]
    if let coding { common.append(("content-encoding", coding.rawValue)) }
    self.init(
      status: .ok, headers: common + [("content-type", type)], body: .file(form, 0..<form.size))
    // Two headers are none that can be heeded.
    guard isGet, headers["range"].count == 1, let header = headers["range"].first,
      conditions.mayBeRanged(form.tag, modified: form.modified, now: now)
    else { return }
    take(ByteRanges(header, of: form.size), of: form, type, common)
  }

  private mutating func take(
    _ ranges: ByteRanges, of form: ServedFile.Form, _ type: String, _ common: [(name: String, value: String)]
  ) {
    switch ranges {
    case .whole: break
    case .unsatisfiable:
      self = .refusal(.rangeNotSatisfiable, [("content-range", "bytes */\(form.size)")])
    case .parts(let parts) where parts.count == 1:
      status = .partialContent
      headers = common + [("content-type", type), ("content-range", parts[0].contentRange(of: form.size))]
      body = .file(form, parts[0])
    case .parts(let parts):
      let boundary = (0..<3).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
      status = .partialContent
      headers = common + [("content-type", "multipart/byteranges; boundary=\(boundary)")]
      let heads = parts.map { range in
        "\r\n--\(boundary)\r\ncontent-type: \(type)\r\ncontent-range: \(range.contentRange(of: form.size))\r\n\r\n"
      }
      body = .parts(form, zip(heads, parts).map { ($0, $1) }, end: "\r\n--\(boundary)--\r\n")
    }
  }
}

extension Range<UInt64> {
  fileprivate func contentRange(of size: UInt64) -> String { "bytes \(lowerBound)-\(upperBound - 1)/\(size)" }
}

extension HTTPHeaders {
  /// All values of a header that is a list, as one.
  fileprivate func list(_ name: String) -> String? {
    let values = self[name]
    return values.isEmpty ? nil : values.joined(separator: ",")
  }
}

extension Conditions {
  fileprivate init(_ headers: HTTPHeaders) {
    self.init()
    ifMatch = headers.list("if-match")
    ifNoneMatch = headers.list("if-none-match")
    ifModifiedSince = headers["if-modified-since"].first
    ifUnmodifiedSince = headers["if-unmodified-since"].first
    ifRange = headers["if-range"].first
  }
}
