// What a request is answered: decided from its head and from what its path leads to.

import NIOHTTP1
import Splice

/// The head of an answer, and what follows it.
struct FileAnswer: Sendable {
  var status: HTTPResponseStatus
  /// Lines, each behind a line's end.
  var lines = ""
  var body = Body.none

  enum Body: Sendable {
    /// Of length 0, or of none for a status that has none.
    case none
    case text(String)
    /// The same for all who ask.
    case page(PipeSegment)
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
    case .page(let page): UInt64(page.count)
    case .file(_, let range): range.upperBound - range.lowerBound
    case .parts(_, let parts, let end):
      parts.reduce(UInt64(end.utf8.count)) {
        $0 + UInt64($1.head.utf8.count) + $1.range.upperBound - $1.range.lowerBound
      }
    }
  }

  /// One that says what is wrong.
  static func refusal(_ status: HTTPResponseStatus, _ lines: String = "") -> Self {
    FileAnswer(
      status: status,
      lines: lines + (status == .serviceUnavailable ? "\r\nretry-after: 1" : "")
        + "\r\ncontent-type: text/plain; charset=utf-8",
      body: .text("\(status.code) \(status.reasonPhrase)\n"))
  }

  /// That it is elsewhere.
  static func moved(to place: String) -> Self { refusal(.movedPermanently, "\r\nlocation: \(place)") }
}

extension FileAnswer {
  /// A file, or a part of it, or that there is nothing new.
  ///
  /// - Parameters:
  ///   - file: What is to be sent.
  ///   - request: What the client says of it.
  ///   - isGet: Whether it is GET, which alone may ask for a part.
  ///   - more: Lines of the head of every file.
  ///   - now: The date.
  init(_ file: ServedFile, for request: RequestFields, isGet: Bool, _ more: String, now: HTTPDate) {
    let accepted = file.codings.isEmpty ? [] : AcceptedCodings(request.acceptEncoding).codings
    let (form, lines) = file.form(accepted.first { file.codings[$0] != nil })
    let conditions = request.conditions
    switch conditions.verdict(form.tag, modified: form.modified, now: now) {
    case .proceed: break
    case .failed:
      self = .refusal(.preconditionFailed)
      return
    case .notModified:
      self.init(status: .notModified, lines: lines + more)
      return
    }
    let type = "\r\ncontent-type: \(file.type)"
    self.init(status: .ok, lines: lines + more + type, body: .file(form, 0..<form.size))
    guard isGet, let range = request.range,
      conditions.mayBeRanged(form.tag, modified: form.modified, now: now)
    else { return }
    switch ByteRanges(range, of: form.size) {
    case .whole: break
    case .unsatisfiable:
      self = .refusal(.rangeNotSatisfiable, "\r\ncontent-range: bytes */\(form.size)")
    case .parts(let parts) where parts.count == 1:
      status = .partialContent
      self.lines += "\r\ncontent-range: \(parts[0].contentRange(of: form.size))"
      body = .file(form, parts[0])
    case .parts(let parts):
      let boundary = (0..<3).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
      status = .partialContent
      self.lines = lines + more + "\r\ncontent-type: multipart/byteranges; boundary=\(boundary)"
      let heads = parts.map { range in
        "\r\n--\(boundary)\(type)\r\ncontent-range: \(range.contentRange(of: form.size))\r\n\r\n"
      }
      body = .parts(form, zip(heads, parts).map { ($0, $1) }, end: "\r\n--\(boundary)--\r\n")
    }
  }
}

extension Range<UInt64> {
  fileprivate func contentRange(of size: UInt64) -> String { "bytes \(lowerBound)-\(upperBound - 1)/\(size)" }
}
