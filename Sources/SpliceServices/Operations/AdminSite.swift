// What the admin pages answer, whoever carries it.

import NIOHTTP1
import Splice

/// What the admin pages answer.
struct AdminSite: Sendable {
  private let server: any Administered
  private let metrics: PrometheusMetrics
  private let history = Locked(History())

  init(of server: any Administered, _ metrics: PrometheusMetrics) {
    (self.server, self.metrics) = (server, metrics)
  }

  /// An answer.
  struct Answer: Sendable {
    var status = HTTPResponseStatus.ok
    var type = "text/plain; charset=utf-8"
    var headers: [(String, String)] = []
    var body: String
  }

  /// Takes a point of each chart.
  func look() {
    let charts = server.overview.charts
    history.withLock { $0.look(at: charts, .now) }
  }

  func answer(_ head: HTTPRequestHead) -> Answer {
    let path = head.uri.prefix { $0 != "?" }
    let isKnown = ["/", "/healthz", "/readyz", "/metrics"].contains(path)
    if !isKnown { return Answer(status: .notFound, body: "not found\n") }
    guard head.method == .GET || head.method == .HEAD else {
      return Answer(status: .methodNotAllowed, headers: [("allow", "GET, HEAD")], body: "GET or HEAD\n")
    }
    switch path {
    case "/healthz": return verdict(server.unhealthy, "ok")
    case "/readyz": return verdict(server.unready, "ready")
    case "/metrics":
      server.report()
      return Answer(type: PrometheusMetrics.contentType, body: metrics.text)
    default: return page()
    }
  }

  private func verdict(_ wrong: String?, _ right: String) -> Answer {
    Answer(status: wrong == nil ? .ok : .serviceUnavailable, body: "\((wrong ?? right).escaped)\n")
  }

  private func page() -> Answer {
    let overview = server.overview
    let points = history.withLock { $0.points }
    let page = Page(
      overview: overview, unready: server.unhealthy ?? server.unready,
      points: points.count == overview.charts.count ? points : overview.charts.map { _ in [] })
    let policy =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
      + (overview.player == nil ? "" : " http:; media-src http:")
    return Answer(
      type: "text/html; charset=utf-8",
      headers: [("content-security-policy", policy), ("x-content-type-options", "nosniff")], body: page.html)
  }
}
