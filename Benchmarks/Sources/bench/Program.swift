// A child with exactly the descriptors it is given, and what it cost: the CPU the kernel charged to it alone
// (`wait4`, so neither the harness nor the ends count) and the time until it ended. A descriptor given to a
// child is closed here as soon as the child has it: otherwise no end of stream would ever arrive. No child
// outlives a run, and none may take longer than a minute.

import Foundation

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }

  /// Who failed, and why, from errno.
  static func system(_ act: String, _ code: Int32 = errno) -> Failure {
    unsafe Failure("\(act): \(String(cString: strerror(code)))")
  }
}

/// What is to be started. `descriptors` maps the child's numbers to ours; standard error is inherited.
struct Program {
  var argv: [String]
  var descriptors: [Int32: Int32]
}

/// Runs `ends` and `measured` side by side until all have ended, and returns what the measured ones cost.
func run(_ measured: [Program], between ends: [Program] = []) throws -> Cost {
  let deadline = ContinuousClock.now + .seconds(60)
  let childEnded = holdChildSignal()
  var alive: [(name: String, pid: pid_t)] = []
  defer {
    for (_, pid) in alive {
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
    }
  }
  for end in ends { alive.append((end.argv[0], try spawn(end))) }
  let start = ContinuousClock.now
  for program in measured.reversed() { alive.append((program.argv[0], try spawn(program))) }

  var cost = Cost()
  while let (name, pid) = alive.last {
    let cpu = try reap(pid, name, by: deadline, childEnded)
    alive.removeLast()
    if alive.count >= ends.count { cost.cpu += cpu }
    if alive.count == ends.count { cost.wall = (ContinuousClock.now - start) / .seconds(1) }
  }
  return cost
}

func spawn(_ program: Program) throws -> pid_t {
  defer { for ours in program.descriptors.values { close(ours) } }
  var actions = unsafe posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  var nothing = sigset_t()
  unsafe posix_spawn_file_actions_init(&actions)
  unsafe posix_spawnattr_init(&attributes)
  defer {
    unsafe posix_spawn_file_actions_destroy(&actions)
    unsafe posix_spawnattr_destroy(&attributes)
  }
  // Ours are all 10 or more, the child's are all less: no dup2 overwrites one that is still needed.
  for (theirs, ours) in program.descriptors {
    unsafe posix_spawn_file_actions_adddup2(&actions, ours, theirs)
  }
  // We block SIGCHLD to wait for it; the child must not inherit that.
  unsafe sigemptyset(&nothing)
  unsafe posix_spawnattr_setsigmask(&attributes, &nothing)
  unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

  let environment = ProcessInfo.processInfo.environment.map { "\($0)=\($1)" }
  var argv = unsafe program.argv.map { unsafe strdup($0) } + [nil]
  var envp = unsafe environment.map { unsafe strdup($0) } + [nil]
  defer { unsafe (argv + envp).forEach { unsafe free($0) } }
  var pid = pid_t()
  let code = unsafe posix_spawnp(&pid, program.argv[0], &actions, &attributes, &argv, &envp)
  guard code == 0 else { throw Failure.system(program.argv[0], code) }
  return pid
}

/// The CPU seconds of a child, once it has ended well. User and system time together are exact to the
/// microsecond (the scheduler's own sum); only their division is sampled by ticks, so it is not used.
private func reap(
  _ pid: pid_t, _ name: String, by deadline: ContinuousClock.Instant, _ childEnded: sigset_t
) throws -> Double {
  var status: Int32 = 0
  var usage = rusage()
  var childEnded = childEnded
  while unsafe wait4(pid, &status, WNOHANG, &usage) == 0 {
    let left = (deadline - .now) / .seconds(1)
    guard left > 0 else { throw Failure("\(name): no end after a minute") }
    // The signal stays pending until it is taken here, so none is missed between the two calls.
    var patience = timespec(tv_sec: Int(left), tv_nsec: Int(left.truncatingRemainder(dividingBy: 1) * 1e9))
    unsafe sigtimedwait(&childEnded, nil, &patience)
  }
  let (signal, exit) = (status & 0x7f, status >> 8 & 0xff)
  guard signal == 0 else { throw Failure("\(name): ended by signal \(signal)") }
  guard exit == 0 else { throw Failure("\(name): ended with status \(exit)") }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

private func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

/// Keeps SIGCHLD pending until `reap` takes it, instead of letting it pass.
private func holdChildSignal() -> sigset_t {
  var signals = sigset_t()
  unsafe sigemptyset(&signals)
  unsafe sigaddset(&signals, SIGCHLD)
  unsafe sigprocmask(SIG_BLOCK, &signals, nil)
  return signals
}
