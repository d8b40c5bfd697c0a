// The live page: one document that needs nothing else.
//
// It is written here, whole, each time somebody asks; a few lines of script ask again every second and put
// the new one in place of the old. So without scripts everything is there too, and is asked for again every
// five seconds.

import Splice

/// The page of a server.
struct Page {
  let overview: Overview
  let unready: String?
  /// A line of points for each chart.
  let points: [[Double]]

  var html: String {
    let state = unready ?? "ready"
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <link rel="icon" href="data:,">
      <title>\(Self.escaped(overview.title)): \(Self.escaped(state))</title>
      <noscript><meta http-equiv="refresh" content="5"></noscript>
      <style>\(Self.style)</style>
      </head>
      <body>
      <main>
      <header>
      <h1>splice \(Self.escaped(overview.title))</h1>
      <p class="\(unready == nil ? "good" : "bad")">\(Self.escaped(state))</p>
      <p class="places">\(overview.places.map(Self.escaped).joined(separator: " · "))</p>
      </header>
      <section class="charts">
      \(zip(overview.charts, points).map(chart).joined(separator: "\n"))
      </section>
      <section class="shares">
      \(overview.shares.map(shares).joined(separator: "\n"))
      </section>
      \(overview.tables.map(table).joined(separator: "\n"))
      </main>
      \(overview.player.map(Self.player) ?? "")
      <footer><a href="/metrics">metrics</a> <a href="/healthz">healthz</a> <a href="/readyz">readyz</a></footer>
      <script>\(overview.player == nil ? "" : Self.playing)\(Self.script)</script>
      </body>
      </html>

      """
  }

  /// Which element plays a stream of a type; nil when none does.
  private static func element(for type: String) -> String? {
    let type = type.lowercased()
    if type.hasPrefix("audio/") { return "audio" }
    if type.hasPrefix("multipart/x-mixed-replace") { return "img" }
    return ["video/webm", "video/ogg", "video/mp4"].contains { type.hasPrefix($0) } ? "video" : nil
  }

  /// Beside what is asked for again, so that it plays on. It is on the host the page came from.
  private static func player(_ player: Overview.Player) -> String {
    guard let element = element(for: player.type) else { return "" }
    let place = "data-port=\"\(player.port)\" data-path=\"\(escaped(player.path))\""
    return element == "img"
      ? "<section class=\"player\"><img alt=\"the stream\" \(place)></section>"
      : "<section class=\"player\"><\(element) controls preload=\"none\" \(place)></\(element)></section>"
  }

  private func chart(_ chart: Overview.Chart, _ points: [Double]) -> String {
    let now = points.last ?? (chart.isTotal ? 0 : Double(chart.value))
    let most = points.max() ?? now
    let unit = chart.isTotal ? "/s" : ""
    let total = chart.isTotal ? ", \(Self.amount(Double(chart.value), chart.unit)) in all" : ""
    return """
      <figure>
      <figcaption>\(Self.escaped(chart.name)) <strong>\(Self.amount(now, chart.unit))\(unit)</strong></figcaption>
      \(Self.line(points, most: most))
      <small>at most \(Self.amount(most, chart.unit))\(unit) in the last minutes\(total)</small>
      </figure>
      """
  }

  /// The newest point is at the right edge.
  private static func line(_ points: [Double], most: Double) -> String {
    let height = 60.0
    let first = History.length - points.count
    let path = points.enumerated().map { index, point in
      let y = most > 0 ? height - point / most * (height - 2) : height
      return "\(first + index),\((y * 10).rounded() / 10)"
    }.joined(separator: " ")
    let area = points.isEmpty ? "" : "\(first),\(height) \(path) \(History.length - 1),\(height)"
    return """
      <svg viewBox="0 0 \(History.length - 1) \(Int(height))" preserveAspectRatio="none" role="img" aria-label="the last minutes">\
      <polygon points="\(area)"/><polyline points="\(path)"/></svg>
      """
  }

  private func shares(_ shares: Overview.Shares) -> String {
    let whole = shares.parts.reduce(0) { $0 + Double($1.value) }
    let bars = shares.parts.enumerated().map { index, part in
      "<i class=\"part\(index % 3)\" style=\"flex-grow:\(part.value)\"></i>"
    }
    let words = shares.parts.enumerated().map { index, part in
      let percent = whole > 0 ? " (\(Int((Double(part.value) / whole * 100).rounded()))%)" : ""
      return
        "<span><i class=\"part\(index % 3)\"></i>\(Self.escaped(part.name)) \(Self.amount(Double(part.value), shares.unit))\(percent)</span>"
    }
    return """
      <figure>
      <figcaption>\(Self.escaped(shares.name))</figcaption>
      <div class="bar">\(bars.joined())</div>
      <small>\(words.joined(separator: " "))</small>
      </figure>
      """
  }

  private func table(_ table: Overview.Table) -> String {
    let head = table.columns.map { "<th scope=\"col\">\(Self.escaped($0))</th>" }.joined()
    let rows = table.rows.map { row in
      "<tr>\(row.map(Self.cell).joined())</tr>"
    }
    return """
      <section class="table"><table>
      <caption>\(Self.escaped(table.name))</caption>
      <thead><tr>\(head)</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table></section>
      """
  }

  private static func cell(_ cell: Overview.Cell) -> String {
    switch cell {
    case .text(let text): "<td>\(escaped(text))</td>"
    case .number(let number, let unit): "<td class=\"number\">\(amount(Double(number), unit))</td>"
    case .state(let isGood, let word): "<td class=\"\(isGood ? "good" : "bad")\">\(escaped(word))</td>"
    }
  }
}

extension Page {
  static func escaped(_ text: String) -> String {
    text.escaped.replacingScalars { scalar in
      switch scalar {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      default: nil
      }
    }
  }

  /// Three significant digits, and bytes in units of 1024.
  static func amount(_ value: Double, _ unit: Overview.Unit) -> String {
    let (base, units) =
      unit == .bytes
      ? (1024.0, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
      : (1000.0, ["", "k", "M", "G", "T", "P", "E"])
    var (value, index) = (value, 0)
    while value >= base, index < units.count - 1 { (value, index) = (value / base, index + 1) }
    let places: Double = value >= 100 || value == value.rounded() ? 1 : value >= 10 ? 10 : 100
    let rounded = (value * places).rounded() / places
    let number = rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    return units[index].isEmpty
      ? number : unit == .bytes ? "\(number) \(units[index])" : number + units[index]
  }

  /// The stream is where the page is, at another port.
  private static let playing = """
    for (const player of document.querySelectorAll('.player > *'))
      player.src = `http://${location.hostname}:${player.dataset.port}${player.dataset.path}`;

    """

  /// Asks for the page again, and takes its `main`. What cannot be reached is said, and asked again.
  private static let script = """
    setInterval(async () => {
      if (document.hidden) return;
      try {
        const text = await (await fetch('/', {cache: 'no-store'})).text();
        const next = new DOMParser().parseFromString(text, 'text/html');
        document.querySelector('main').replaceWith(next.querySelector('main'));
        document.title = next.title;
      } catch {
        const state = document.querySelector('header p');
        state.className = 'bad'; state.textContent = 'not reached';
      }
    }, 1000);
    """

  private static let style = """
    :root { --ink: #1a1a2e; --soft: #667; --paper: #fff; --card: #f4f5f8; --line: #2563eb; --other: #f59e0b; --third: #94a3b8;
      --good: #15803d; --bad: #b91c1c; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e8e9ef; --soft: #9aa; --paper: #101217; --card: #1a1d25; --line: #60a5fa;
      --other: #fbbf24; --third: #64748b; --good: #4ade80; --bad: #f87171; } }
    * { box-sizing: border-box; margin: 0; }
    body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem; margin: auto; padding: 1rem; }
    header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; margin-bottom: 1rem; }
    h1 { font-size: 1.4rem; }
    .good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
    .places, small, footer { color: var(--soft); }
    .charts, .shares { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: 1rem; margin-bottom: 1rem; }
    figure, .table { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; min-width: 0; }
    figcaption { display: flex; justify-content: space-between; gap: 1rem; }
    strong, .number { font-variant-numeric: tabular-nums; }
    svg { width: 100%; height: 4rem; display: block; margin: .4rem 0; }
    polyline { fill: none; stroke: var(--line); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
    polygon { fill: var(--line); opacity: .15; }
    .bar { display: flex; height: .8rem; border-radius: .4rem; overflow: hidden; background: var(--paper); margin: .6rem 0; }
    .part0 { background: var(--line); } .part1 { background: var(--third); } .part2 { background: var(--other); }
    small span { margin-right: .8rem; white-space: nowrap; }
    small i { display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem; margin-right: .3rem; }
    .player > * { width: 100%; max-height: 30rem; border-radius: .6rem; }
    .table { overflow-x: auto; margin-bottom: 1rem; }
    table { border-collapse: collapse; width: 100%; }
    caption { text-align: left; padding-bottom: .3rem; }
    th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-top: 1px solid var(--paper); white-space: nowrap; }
    th { color: var(--soft); font-weight: 400; }
    footer { margin-top: 1rem; } a { color: inherit; }
    """
}
