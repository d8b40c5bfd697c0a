// The arguments of the command line, which are bytes to the kernel and text to the parser.
//
// They enter here and nowhere else: what text cannot hold is carried in it, and so are control characters, so
// that a message that quotes an argument is still one line. Names leave as bytes where a path, a command or a
// socket's name is made of them.

import ArgumentParser
import CSplice
import Splice

/// The arguments of the command line.
enum Arguments {
  /// Those behind the program's name, as they were given, also where there is no `/proc`.
  static func given() -> [String] {
    var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    var count = unsafe csplice_arguments(&words)
    if unsafe words == nil {
      count = CommandLine.argc
      unsafe words = CommandLine.unsafeArgv
    }
    return (0..<Int(count)).dropFirst().compactMap { index in
      // The C library's own strings: they end in a 0, and are there as long as the process is.
      guard let start = unsafe words?[index] else { return nil }
      return unsafe String(
        carrying: UnsafeRawBufferPointer(start: start, count: strlen(start)), controls: true)
    }
  }

  /// Throws for letters that are packed behind one dash: but for `-h` and `-q` there are no options of one
  /// letter, and a parser that takes such a pack apart would find one for help in `-dash`.
  static func check(_ arguments: [String]) throws {
    for argument in arguments.prefix(while: { $0 != "--" }) {
      let scalars = argument.unicodeScalars
      guard scalars.first == "-", scalars.count > 1, scalars.dropFirst().first != "-",
        !["-h", "-q"].contains(argument)
      else {
        continue
      }
      throw ValidationError("Unknown option '\(argument)'")
    }
  }
}
