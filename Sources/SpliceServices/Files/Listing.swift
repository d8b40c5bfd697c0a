// A page that lists a directory.

import Splice

/// What a directory has, as a page.
struct Listing {
  /// Names are what strangers gave them: nothing of one is taken for markup.
  static func page(of target: RequestTarget, _ entries: [ServedDirectory.Entry], others: Int) -> String {
    let place = Page.escaped("/" + target.names.map { $0.escaped + "/" }.joined())
    let rows = entries.sorted(by: isBefore).map(row).joined()
    let rest = others == 0 ? "" : "<p>\(others) more are not listed.\n"
    let up = target.names.isEmpty ? "" : "<tr><td><a href=\"../\">../</a><td><td>\n"
    return """
      <!doctype html>
      <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
      <title>\(place)</title>
      <style>
      :root { color-scheme: light dark; font: 15px/1.6 system-ui, sans-serif }
      body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
      h1 { font-size: 1.2rem; overflow-wrap: anywhere }
      table { border-collapse: collapse; width: 100% }
      td, th { padding: .15rem .6rem; text-align: left; border-bottom: 1px solid #8883 }
      td:first-child { overflow-wrap: anywhere }
      td:nth-child(2), th:nth-child(2) { text-align: right; white-space: nowrap }
      td:nth-child(3) { white-space: nowrap; font-variant-numeric: tabular-nums }
      a { text-decoration: none } a:hover { text-decoration: underline }
      </style>
      <h1>\(place)</h1>
      <table><tr><th>Name<th>Size<th>Modified (UTC)
      \(up)\(rows)</table>
      \(rest)</html>

      """
  }

  /// Directories first, then by name.
  private static func isBefore(_ one: ServedDirectory.Entry, _ other: ServedDirectory.Entry) -> Bool {
    (one.size == nil ? 0 : 1, one.name.lowercased) < (other.size == nil ? 0 : 1, other.name.lowercased)
  }

  private static func row(_ entry: ServedDirectory.Entry) -> String {
    let end = entry.size == nil ? "/" : ""
    let name = Page.escaped(entry.name.escaped) + end
    let size = entry.size.map { Page.amount(Double($0), .bytes) } ?? ""
    let time = CalendarTime(seconds: Int(entry.modified / 1_000_000_000)).minutes
    // A name with a colon is no scheme.
    return
      "<tr><td><a href=\"./\(RequestTarget.encoded(entry.name))\(end)\">\(name)</a><td>\(size)<td>\(time)\n"
  }
}

extension [UInt8] {
  /// For an order that heeds no case, of bytes.
  fileprivate var lowercased: String { String(decoding: self, as: UTF8.self).lowercased() }
}
