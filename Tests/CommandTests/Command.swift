// How the tests run the built command.

import Foundation
import TestSupport
import Testing

/// The command that was built.
func splice(
  _ arguments: String..., input: FileHandle? = nil, output: FileHandle? = nil, directory: String? = nil
) throws -> Run {
  try run(try product("splice"), arguments, input: input, output: output, directory: directory)
}

/// A line of shell in which `$splice` is the command. Peers it names are asked for first.
func shell(_ line: String, in directory: TemporaryDirectory? = nil) throws -> Run {
  try askForPeers(of: line)
  let words = ["-c", "splice='\(try product("splice"))'; \(line)"]
  return try run("/bin/bash", words, directory: directory?.path)
}

/// A program in Python, in which `splice` is the command and `check(condition, what)` ends it with a word when something is wrong.
/// One that does not end says which of its lines it hangs at.
func python(
  _ program: String, in directory: TemporaryDirectory? = nil, within bound: Duration = Bound.usual * 3 / 4
) throws -> Run {
  try askForPeers(of: program)
  let prelude = """
    import faulthandler, os, signal, socket, struct, subprocess, sys, time
    splice = sys.argv[1]
    def hung(number, frame):
        faulthandler.dump_traceback()
        while frame.f_code.co_filename != '<string>': frame = frame.f_back
        sys.exit('hung: ' + sys.orig_argv[2].splitlines()[frame.f_lineno - 1].strip())
    signal.signal(signal.SIGALRM, hung); signal.setitimer(signal.ITIMER_REAL, \(bound / .seconds(1)))
    def check(condition, *what):
        if condition: return
        line = sys.orig_argv[2].splitlines()[sys._getframe(1).f_lineno - 1].strip()
        sys.exit(' '.join(['wrong:', line, *map(repr, what)]))
    def listen():
        s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return s, 'tcp:127.0.0.1:%d' % s.getsockname()[1]
    def start(*words, **more):
        return subprocess.Popen([splice, *words], stderr=subprocess.PIPE, **more)
    def reset(s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()
    def sandbox(errno):
        # A real one: from now on seccomp answers so to splice, tee, copy_file_range and sendfile, on this architecture.
        import ctypes, platform
        calls = {'x86_64': (275, 276, 326, 40), 'aarch64': (76, 77, 285, 71)}[platform.machine()]
        libc = ctypes.CDLL(None, use_errno=True)
        def op(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)
        filter = op(0x20, 0, 0, 0) + b''.join(op(0x15, 0, 1, n) + op(0x06, 0, 0, 0x50000 | errno) for n in calls)
        filter += op(0x06, 0, 0, 0x7fff0000)
        memory = ctypes.create_string_buffer(filter)
        class Program(ctypes.Structure): _fields_ = [('count', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
        program = Program(len(filter) // 8, ctypes.addressof(memory))
        check(libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, 'no seccomp')

    """
  return try run(
    try tool("python3"), ["-c", prelude + program, try product("splice")], directory: directory?.path)
}

/// The port a listening endpoint says it has.
func port(_ running: Running) throws -> String {
  let said = running.waitForErrors(containing: "listening on port ")
  let number = try #require(said.firstRange(of: "listening on port ")).upperBound
  return String(said[number...].prefix { $0.isNumber })
}

/// What `--stats json` said.
func stats(_ run: Run) throws -> [String: Any] {
  let line = try #require(run.errorLines.last)
  return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
}
