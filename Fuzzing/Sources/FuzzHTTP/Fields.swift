// The target of a request, and the headers that are heeded.

import Fuzzer

@testable import SpliceServices

// MARK: - Targets

/// No target leads out of the directory or to what is hidden, however it is written.
func checkTarget(_ bytes: [UInt8]) {
  let text = bytes.text
  let verdict = targetVerdict(text)
  // The host in front changes nothing. (An accent on the first slash hides it from the search for one.)
  if text.first == "/" {
    expect(targetVerdict("http://host" + text) == verdict, "the host changes what a target names")
  }
  guard case .success(let target) = verdict else { return }
  checkNames(of: target)
  let written = "/" + target.names.map { $0.map(percent).joined() + "/" }.joined()
  for other in [written, target.asDirectory] {
    switch targetVerdict(other) {
    case .success(let again):
      expect(again.names == target.names && again.isDirectory, "the same target names something else")
      expect(other == written || again.query == target.query, "a query is lost")
    case .failure(let refusal): expect(refusal == .tooLong, "a target is refused when it is encoded")
    }
  }
}

/// What holds of every target that is accepted.
func checkNames(of target: RequestTarget) {
  for (index, name) in target.names.enumerated() {
    expect(!name.isEmpty, "a name is empty")
    expect(name.allSatisfy { $0.isPrintable && $0 != UInt8(ascii: "/") }, "a name has what no name may have")
    expect(
      name.first != UInt8(ascii: ".") || index == 0 && name == Array(".well-known".utf8),
      "what is hidden is named")
  }
  let path = target.path
  expect(!path.isEmpty && path.count <= RequestTarget.longest, "a path has no length of one")
  expect(path.first != UInt8(ascii: "/") && path.last != UInt8(ascii: "/"), "a path has slashes at its ends")
  // `//` and `/\` would be another host's.
  let place = Array(target.asDirectory.utf8)
  expect(place.first == UInt8(ascii: "/"), "a redirection leaves the host")
  let second = place.dropFirst().first
  expect(second != UInt8(ascii: "/") && second != UInt8(ascii: "\\"), "a redirection leaves the host")
}

func targetVerdict(_ text: String) -> Result<RequestTarget, RequestTarget.Refusal> {
  do throws(RequestTarget.Refusal) { return .success(try RequestTarget(text)) } catch {
    return .failure(error)
  }
}

private func percent(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16)
  return "%" + (digits.count < 2 ? "0" : "") + digits
}

// MARK: - Ranges

private let sizes: [UInt64] = [0, 1, 2, 10, 100, 1 << 20, 1 << 40, .max / 2, .max]

/// The parts are inside the file, apart, few, and what was asked for. The first byte chooses the size.
func checkRanges(_ bytes: [UInt8]) {
  guard let first = bytes.first else { return }
  let size = sizes[Int(first &- UInt8(ascii: "0")) % sizes.count]
  let answer = ByteRanges(Array(bytes.dropFirst()).text, of: size)
  let wanted = readRanges(bytes.dropFirst(), size)
  switch answer {
  case .whole:
    guard let wanted, wanted.count <= ByteRanges.most else { return }
    let inside = wanted.compactMap(\.self)
    let total = inside.reduce(UInt128(0)) { $0 + UInt128($1.count128) }
    expect(!inside.isEmpty && total > 2 * UInt128(size), "ranges are not heeded")
  case .unsatisfiable:
    expect(wanted.map { $0.allSatisfy { $0 == nil } } == true, "ranges have bytes and are not satisfied")
  case .parts(let parts):
    expect(!parts.isEmpty && parts.count <= ByteRanges.most, "there are \(parts.count) parts")
    expect(parts.allSatisfy { !$0.isEmpty && $0.upperBound <= size }, "a part is outside of the file")
    let set = RangeSet(parts)
    // Merged where they touch.
    expect(set.ranges.count == parts.count, "parts overlap or touch")
    expect(parts.reduce(UInt128(0)) { $0 + $1.count128 } <= UInt128(size), "parts are more than the file")
    expect(wanted.map { RangeSet($0.compactMap(\.self)) } == set, "parts are not what was asked for")
    let header = parts.map { "\($0.lowerBound)-\($0.upperBound - 1)" }.joined(separator: " ,\t,")
    expect(ByteRanges("Bytes=" + header, of: size) == answer, "parts are not understood when asked for")
  }
}

/// The same read in another way: what of each range a file has, or nil for what is malformed.
private func readRanges(_ header: ArraySlice<UInt8>, _ size: UInt64) -> [Range<UInt64>?]? {
  // The text of a header has no bytes that are not UTF-8.
  let header = Array(Array(header).text.utf8)
  guard header.count > 6, Array(header.prefix(6)).text.lowercased() == "bytes=" else { return nil }
  var ranges: [Range<UInt64>?] = []
  for element in header.dropFirst(6).split(separator: UInt8(ascii: ",")) {
    let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    let element = Array(element.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    if element.isEmpty { continue }
    guard let dash = element.firstIndex(of: UInt8(ascii: "-")), element.count > 1 else { return nil }
    let ends = [element[..<dash], element[(dash + 1)...]]
    guard ends.allSatisfy({ $0.allSatisfy { (0x30...0x39).contains($0) } }) else { return nil }
    // What is no number here is empty or too large.
    let (first, last) = (number(ends[0]), number(ends[1]))
    if ends[0].isEmpty {
      let start = size - min(last, size)
      ranges.append(start < size ? start..<size : nil)
    } else {
      if !ends[1].isEmpty, last < first { return nil }
      ranges.append(first < size ? first..<min(ends[1].isEmpty ? .max : last, size - 1) + 1 : nil)
    }
  }
  return ranges.isEmpty ? nil : ranges
}

private func number(_ digits: ArraySlice<UInt8>) -> UInt64 { UInt64(Array(digits).text) ?? .max }

extension Range<UInt64> {
  fileprivate var count128: UInt128 { UInt128(upperBound - lowerBound) }
}

// MARK: - Conditions

private let modified = HTTPDate(seconds: 784_111_777)
private let now = HTTPDate(seconds: 1_600_000_000)

/// What comes of conditions has a reason among them. A header for each line, and none for an empty one.
func checkConditions(_ bytes: [UInt8]) {
  let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 5, omittingEmptySubsequences: false)
    .map { $0.isEmpty ? nil : Array($0).text }
  var conditions = Conditions()
  func line(_ index: Int) -> String? { index < lines.count ? lines[index] : nil }
  conditions.ifMatch = line(0)
  conditions.ifNoneMatch = line(1)
  conditions.ifModifiedSince = line(2)
  conditions.ifUnmodifiedSince = line(3)
  conditions.ifRange = line(4)
  for isStrong in [true, false] { check(conditions, EntityTag(isStrong: isStrong, line(5) ?? "tag")) }
}

private func check(_ conditions: Conditions, _ tag: EntityTag) {
  let verdict = conditions.verdict(tag, modified: modified, now: now)
  func verdictWith(_ change: (inout Conditions) -> Void) -> Conditions.Verdict {
    var changed = conditions
    change(&changed)
    return changed.verdict(tag, modified: modified, now: now)
  }
  // RFC 9110, 13.2.2: one makes the other void.
  if conditions.ifMatch != nil {
    expect(verdictWith { $0.ifUnmodifiedSince = nil } == verdict, "a date counts beside If-Match")
  }
  if conditions.ifNoneMatch != nil {
    expect(verdictWith { $0.ifModifiedSince = nil } == verdict, "a date counts beside If-None-Match")
  }
  expect(verdictWith { $0.ifRange = nil } == verdict, "If-Range counts where no range does")
  switch verdict {
  case .proceed: break
  case .failed:
    expect(verdictWith { ($0.ifMatch, $0.ifUnmodifiedSince) = (nil, nil) } != .failed, "nothing has failed")
  case .notModified:
    let verdict = verdictWith { ($0.ifNoneMatch, $0.ifModifiedSince) = (nil, nil) }
    expect(verdict == .proceed, "nothing is the same")
  }
  // A tag that has no quote is understood as it is printed, in front of whatever else.
  if !tag.opaque.utf8.contains(UInt8(ascii: "\"")) {
    let other = EntityTag(isStrong: !tag.isStrong, tag.opaque)
    for (said, isSame) in [(tag, tag.isStrong), (other, false)] {
      let exact = verdictWith { $0.ifMatch = "\(said)" }
      expect((exact != .failed) == isSame, "a tag is not itself, or a weak one is strong")
      let any = verdictWith {
        ($0.ifMatch, $0.ifUnmodifiedSince, $0.ifNoneMatch) = (nil, nil, "\"x\", \(said)")
      }
      expect(any == .notModified, "a tag of several is not itself")
      var ranged = conditions
      ranged.ifRange = " \(said)\t"
      let isPart = ranged.mayBeRanged(tag, modified: modified, now: now)
      expect(isPart == isSame, "a part goes with another state")
    }
  }
  // A file of this very second may be in another state by the same date.
  if let text = conditions.ifRange, !text.utf8.contains(UInt8(ascii: "\"")) {
    expect(!conditions.mayBeRanged(tag, modified: modified, now: modified), "a date is strong at once")
    if conditions.mayBeRanged(tag, modified: modified, now: now) {
      expect(HTTPDate(text, now: now) == modified, "a part goes with another state")
    }
  }
}

// MARK: - Codings

/// What is taken is told apart whatever else is said, and in whatever case.
func checkCodings(_ bytes: [UInt8]) {
  let text = bytes.text
  let codings = AcceptedCodings(text).codings
  expect(Set(codings).count == codings.count, "a coding is taken twice")
  let upper = bytes.map { (0x61...0x7a).contains($0) ? $0 - 0x20 : $0 }
  expect(AcceptedCodings(upper.text).codings == codings, "the case of a letter counts")
  let none = ContentCoding.allCases.map { "\($0.rawValue);q=0," }.joined()
  expect(AcceptedCodings(text + "," + none + "x-gzip; q=0.000").codings.isEmpty, "what is refused is taken")
  expect(AcceptedCodings(text + ",br;q=1").codings.first == .br, "the best is not taken first")
  for coding in codings {
    expect(
      !AcceptedCodings(text + ",\(coding.rawValue) ; Q=0.0,x-gzip;q=0").codings.contains(coding),
      "what is refused is taken")
  }
}

// MARK: - Dates

/// A date that is understood is printed as it is understood.
func checkDate(_ bytes: [UInt8]) {
  guard let date = HTTPDate(bytes.text, now: now) else { return }
  expect((-62_167_219_200...253_402_300_800).contains(date.seconds), "a year has five digits")
  if date.seconds < 253_402_300_800 { checkPrinted(date) }
}

/// So is every second of ten thousand years, in all three forms.
func checkNumberedDate(_ bytes: [UInt8]) {
  let number = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  checkPrinted(HTTPDate(seconds: Int64(number % 315_569_520_000) - 62_167_219_200))
}

private func checkPrinted(_ date: HTTPDate) {
  let text = "\(date)"
  expect(text.utf8.count == 29, "a date has another length")
  expect(HTTPDate(text, now: now) == date, "a date is not understood as it was printed")
  let words = text.split { " ,".contains($0) }
  expect(
    HTTPDate("\(words[0]) \(words[2]) \(words[1]) \(words[4]) \(words[3])", now: now) == date,
    "the form of asctime is another date")
  let short = "\(words[0])day, \(words[1])-\(words[2])-\(words[3].suffix(2)) \(words[4]) GMT"
  // Within fifty years of one, two digits are enough.
  let near = HTTPDate(seconds: date.seconds + 40 * 31_556_952)
  expect(HTTPDate(short, now: near) == date || date.seconds < -60_589_000_000, "\(short) is another date")
}
