// The relays: each forwards from one port of 127.0.0.1 to another with one thread (or what it has), and is started
// as whoever runs it would start it. To add one, add its line to `relays`.

import Foundation

struct Relay {
  let name: String
  /// Shell, with `$PORT`, `$UPSTREAM` and `$CONFIG` (a file of `config`) set. Descriptor 3 listens on the port if asked for.
  let command: String
  var config = ""
  var isGivenListener = false

  static let ours = "splice relay"
  /// Ours, its metrics read and its page fetched for two browsers each second.
  static let lookedAt = "itself, looked at"
  static let haproxy = "HAProxy, splicing"
  /// With pipes of 1 MiB, and whole queues of clients taken at once.
  static let haproxyTuned = "HAProxy, tuned"
  static let nginx = "nginx stream"
  /// With buffers of 256 KiB.
  static let nginxTuned = "nginx, tuned"
}

let relays = [
  Relay(
    name: Relay.ours,
    command: "exec splice relay 127.0.0.1:$PORT 127.0.0.1:$UPSTREAM --threads 1 --log-level error"),
  Relay(
    name: Relay.lookedAt,
    command: """
      ADMIN=$CONFIG.admin; LOOK="curl -s --unix-socket $ADMIN -o /dev/null http://relay"
      (setsid taskset -c 0-$(($(nproc --all) - 1)) sh -c "while kill -0 $$; do $LOOK/metrics; $LOOK; $LOOK; sleep 1; done" 2> /dev/null &)
      exec splice relay 127.0.0.1:$PORT 127.0.0.1:$UPSTREAM --threads 1 --log-level error --admin unix:$ADMIN
      """),
  Relay(
    name: Relay.haproxy, command: "exec haproxy -q -f $CONFIG",
    config: haproxy("option splice-request\noption splice-response")),
  Relay(
    name: Relay.haproxyTuned, command: "exec haproxy -q -f $CONFIG",
    config: haproxy(
      "option splice-request\noption splice-response", tuning: "tune.pipesize 1048576\ntune.maxaccept 256")),
  Relay(name: "HAProxy, copying", command: "exec haproxy -q -f $CONFIG", config: haproxy("")),
  Relay(name: Relay.nginx, command: "exec nginx -c $CONFIG -e stderr", config: nginx("")),
  Relay(
    name: Relay.nginxTuned, command: "exec nginx -c $CONFIG -e stderr",
    config: nginx("proxy_buffer_size 256k;")),
  Relay(name: "c-relay-splice", command: "exec c-relay-splice $PORT $UPSTREAM"),
  Relay(name: "Go, io.Copy", command: "GOMAXPROCS=1 exec go-relay $PORT $UPSTREAM"),
  Relay(
    name: "systemd-socket-proxyd",
    command:
      "LISTEN_FDS=1 LISTEN_PID=$$ exec /lib/systemd/systemd-socket-proxyd --connections-max=9000 127.0.0.1:$UPSTREAM",
    isGivenListener: true),
  Relay(
    name: "socat",
    command:
      "exec socat -b 262144 TCP-LISTEN:$PORT,bind=127.0.0.1,fork,reuseaddr,backlog=4096,nodelay TCP:127.0.0.1:$UPSTREAM,nodelay"
  ),
]

private func nginx(_ tuning: String) -> String {
  """
  daemon off; master_process off; error_log stderr crit; pid $CONFIG.pid;
  include /etc/nginx/modules-enabled/*stream*.conf;
  worker_rlimit_nofile 20000;
  events { worker_connections 19000; multi_accept on; }
  stream { server {
  listen 127.0.0.1:$PORT backlog=4096; proxy_pass 127.0.0.1:$UPSTREAM; tcp_nodelay on; \(tuning)
  } }
  """
}

private func haproxy(_ options: String, tuning: String = "") -> String {
  """
  global
  nbthread 1
  maxconn 9000
  maxpipes 500
  \(tuning)
  defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  backlog 4096
  \(options)
  listen relay
  bind 127.0.0.1:$PORT
  server upstream 127.0.0.1:$UPSTREAM

  """
}

/// A relay that runs, until `stop`.
struct RunningRelay {
  let relay: Relay
  let port: UInt16
  private let pid: pid_t
  private let config: String

  /// Starts a relay, by `prefix` if it is not to be run as it is, and returns when it takes connections.
  init(_ relay: Relay, to upstream: UInt16, prefix: [String] = []) throws {
    let (listener, port) = try listen(backlog: 4096)
    let config = NSTemporaryDirectory() + "bench-relay-\(port).conf"
    let variables = "PORT=\(port) UPSTREAM=\(upstream) CONFIG=\(config)"
    var text = relay.config
    for (name, value) in [("$PORT", "\(port)"), ("$UPSTREAM", "\(upstream)"), ("$CONFIG", config)] {
      text = text.replacingOccurrences(of: name, with: value)
    }
    try text.write(toFile: config, atomically: true, encoding: .utf8)
    if !relay.isGivenListener { close(listener) }
    (self.relay, self.port, self.config) = (relay, port, config)
    pid = try spawn(
      Program(
        argv: prefix + ["sh", "-c", "\(variables); \(relay.command)"],
        descriptors: relay.isGivenListener ? [3: listener] : [:]))
    do {
      try waitUntil("\(relay.name) listens") { isListening(port) }
    } catch {
      stop()
      throw error
    }
  }

  func stop() {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
    unsafe unlink(config)
    for suffix in [".pid", ".admin"] { unsafe unlink(config + suffix) }
  }

  var processID: pid_t { pid }

  /// Seconds of processor time up to now, of the process and of its children that have ended: those that have not are waited
  /// for. The clock of a process is the scheduler's own sum, exact to the nanosecond; its children's is in ticks.
  func cpu() throws -> Double {
    try waitUntil("\(relay.name): its children end") { children == [] }
    var clock = clockid_t()
    guard unsafe clock_getcpuclockid(pid, &clock) == 0 else { throw Failure("\(relay.name) has ended") }
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    let fields = statistics
    let ticks = fields.count > 14 ? (Double(fields[13]) ?? 0) + (Double(fields[14]) ?? 0) : 0
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Resident memory in bytes.
  var resident: Int {
    let line = read("status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return 1024 * (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
  }

  /// How many of its descriptors are pipes.
  var pipes: Int {
    let directory = "/proc/\(pid)/fd"
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return numbers.count { number in
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\(number)"))?.hasPrefix(
        "pipe:")
        ?? false
    }
  }

  private var children: [Substring] { read("task/\(pid)/children").split(separator: " ") }

  /// The fields of `/proc/PID/stat` after the name.
  private var statistics: [Substring] {
    let text = read("stat")
    return text.lastIndex(of: ")").map { text[text.index(after: $0)...].split(separator: " ") } ?? []
  }

  private func read(_ name: String) -> String {
    (try? String(contentsOfFile: "/proc/\(pid)/\(name)", encoding: .utf8)) ?? ""
  }
}

/// Looks until it is so, for at most 20 seconds.
func waitUntil(_ what: String, _ isSo: () -> Bool) throws {
  let deadline = ContinuousClock.now + .seconds(20)
  while !isSo() {
    guard ContinuousClock.now < deadline else { throw Failure("not within 20 seconds: \(what)") }
    usleep(2000)
  }
}

/// Whether a socket listens on a port of 127.0.0.1, from the kernel's table: to connect would leave a connection behind.
private func isListening(_ port: UInt16) -> Bool {
  let wanted = "0100007F:" + String(port, radix: 16, uppercase: true).leftPadded(to: 4)
  let table = (try? String(contentsOfFile: "/proc/net/tcp", encoding: .utf8)) ?? ""
  return table.split(separator: "\n").contains { line in
    let fields = line.split(separator: " ")
    return fields.count > 3 && fields[1] == wanted && fields[3] == "0A"
  }
}

extension String {
  fileprivate func leftPadded(to count: Int) -> String {
    String(repeating: "0", count: max(0, count - self.count)) + self
  }
}
