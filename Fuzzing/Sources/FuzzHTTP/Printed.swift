// What strangers say and is printed: names in a listing, and words in a log.

import Fuzzer

@testable import Splice
@testable import SpliceServices

// MARK: - Listings

/// Names are text in a page and nothing else, and each link leads to its own name. The first byte is how many
/// more there are; names are between slashes, and the first one is that of the directory, too.
func checkListing(_ bytes: [UInt8]) {
  guard let others = bytes.first else { return }
  let all = bytes.dropFirst().split(separator: UInt8(ascii: "/")).map { Array($0.filter { $0 != 0 }) }
  for name in all where !name.isEmpty { checkType(of: name) }
  // What is hidden is not listed.
  let names = all.filter { !$0.isEmpty && $0.first != UInt8(ascii: ".") }
  guard let directory = names.first,
    let target = try? RequestTarget("/" + RequestTarget.encoded(directory) + "/"),
    let plain = try? RequestTarget("/plain/")
  else { return }
  func entries(_ names: [[UInt8]]) -> [ServedDirectory.Entry] {
    names.enumerated().map { index, name in
      let size = UInt64(1) << UInt64(index % 63)
      return ServedDirectory.Entry(
        name: name, size: index % 3 == 0 ? nil : size, modified: Int64(bitPattern: size << 20))
    }
  }
  let page = Listing.page(of: target, entries(names), others: Int(others))
  let harmless = Listing.page(
    of: plain, entries(names.map { _ in Array("name".utf8) }), others: Int(others))
  let (found, expected) = (Markup(page), Markup(harmless))
  expect(found.tags == expected.tags, "a name changes the tags of a page")
  expect(expected.links == found.links.map { $0.hasSuffix("/") ? "./name/" : "./name" }, "links are others")
  expect(page.unicodeScalars.allSatisfy { $0 == "\n" || !$0.needsEscape }, "a name acts on its reader")
  let targets = found.links.map { link -> [UInt8] in
    expect(link.hasPrefix("./"), "a link leads elsewhere")
    let path = link.dropFirst(2).hasSuffix("/") ? link.dropFirst(2).dropLast() : link.dropFirst(2)
    expect(path.utf8.allSatisfy { $0.isUnreserved || $0 == UInt8(ascii: "%") }, "a link is more than a name")
    let name = decoded(path.utf8)
    switch targetVerdict("/" + path) {
    case .success(let target): expect(target.names == [name], "a link leads to another file")
    case .failure(let refusal):
      expect(refusal == .tooLong || !name.allSatisfy(\.isPrintable), "a link is refused")
    }
    return name
  }
  expect(
    targets.sorted(by: { $0.lexicographicallyPrecedes($1) })
      == names.sorted(by: { $0.lexicographicallyPrecedes($1) }), "a file has no link")
}

/// What is markup in a page.
private struct Markup {
  /// Without what is between quotes.
  var tags: [String] = []
  /// What entries lead to.
  var links: [String] = []

  init(_ page: String) {
    var (tag, value): ([UInt8]?, [UInt8]?)
    for byte in page.utf8 {
      switch byte {
      case UInt8(ascii: "\"") where tag != nil:
        if let text = value?.text, tag?.text == "a href=", text != "../" { links.append(text) }
        value = value == nil ? [] : nil
      case UInt8(ascii: "<") where tag == nil: tag = []
      case UInt8(ascii: ">") where tag != nil && value == nil:
        tags.append(tag?.text ?? "")
        tag = nil
      case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"): expect(false, "a stray character")
      default:
        if value != nil { value?.append(byte) } else { tag?.append(byte) }
      }
    }
    expect(tag == nil, "a tag does not end")
  }
}

extension UInt8 {
  /// RFC 3986, 2.3
  fileprivate var isUnreserved: Bool {
    Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~".utf8).contains(self)
  }
}

private func decoded(_ text: Substring.UTF8View) -> [UInt8] {
  let parts = text.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
  return parts[0]
    + parts.dropFirst().flatMap { [UInt8(String($0.prefix(2)) ?? "", radix: 16) ?? 0] + $0.dropFirst(2) }
}

/// A type is a line of a head, and depends on the end of a name alone.
private func checkType(of name: [UInt8]) {
  let type = ContentType.of(name)
  expect(type.utf8.allSatisfy { $0 < 0x7f && $0.isPrintable } && type.contains("/"), "a type is no line")
  let upper = name.map { (0x61...0x7a).contains($0) ? $0 - 0x20 : $0 }
  expect(ContentType.of(upper) == type, "the case of a letter counts")
  if name.lastIndex(of: UInt8(ascii: ".")) != 0 {
    expect(ContentType.of(Array("a.html".utf8) + name) == type || !name.contains(0x2e), "a beginning counts")
  }
}

// MARK: - The log

/// One line of ASCII, whose words can be told apart and read back. They are apart by a byte that no text has.
func checkLog(_ bytes: [UInt8]) {
  let words = bytes.split(separator: 0xff, maxSplits: 4, omittingEmptySubsequences: false)
    .map { Array($0).text }
  func word(_ index: Int) -> String? { index < words.count ? words[index] : nil }
  let record = AccessRecord(
    client: "192.0.2.1", method: word(0) ?? "-", target: word(1) ?? "-", version: word(2) ?? "-", status: 200,
    bytes: 7, referer: word(3), agent: word(4), duration: .zero)
  let line = record.combined
  expect(line.utf8.allSatisfy { $0 < 0x7f && $0.isPrintable }, "a line has what is not printed")
  let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
  expect(parts.count == 7, "a word ends its quotation")
  let others = [parts[2], parts[4], parts[6]]
  expect(parts[0].hasPrefix("192.0.2.1 - - [") && others == [" 200 7 ", " ", ""], "a line has another form")
  expect(unquoted(parts[1]) == "\(record.method) \(record.target) \(record.version)", "a request is another")
  expect(unquoted(parts[3]) == record.referer ?? "-", "a referer is another")
  expect(unquoted(parts[5]) == record.agent ?? "-", "an agent is another")
}

private func unquoted(_ text: Substring) -> String {
  let parts = text.utf8.split(separator: UInt8(ascii: "\\"), omittingEmptySubsequences: false)
  let rest = parts.dropFirst().flatMap { part -> [UInt8] in
    expect(part.first == UInt8(ascii: "x") && part.count >= 3, "an escape is not one")
    return [UInt8(String(part.dropFirst().prefix(2)) ?? "", radix: 16) ?? 0] + part.dropFirst(3)
  }
  return (parts[0] + rest).text
}
