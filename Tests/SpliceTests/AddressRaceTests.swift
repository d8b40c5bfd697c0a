// Which address of a name is begun when: rows of text, at times that are told.

import SystemPackage
import Testing

@testable import Splice

@Suite struct AddressRaceTests {
  /// What is done at times of a script, such as `0 250 !300` (milliseconds; a failure of one that was begun
  /// comes first at a `!`).
  private func moves(_ count: Int, _ script: String, failing error: Errno = .connectionRefused) -> String {
    var race = AddressRace(count: count)
    let start = Moment.now
    func milliseconds(_ time: Moment) -> Int { Int((time - start) / .milliseconds(1)) }
    return script.split(separator: " ").map { word in
      if word.hasPrefix("!") { race.fail(error) }
      let now = start + .milliseconds(Int(word.drop { $0 == "!" })!)
      var said: [String] = []
      while true {
        switch race.move(at: now) {
        case .begin(let index):
          said.append("\(index)")
          continue
        case .wait(let time): said.append(time.map { "until \(milliseconds($0))" } ?? "wait")
        case .giveUp(let error): said.append("over: \(error)")
        }
        return said.joined(separator: " ")
      }
    }.joined(separator: ", ")
  }

  @Test(arguments: [
    (1, "0 250 5000", "0 wait, wait, wait"),
    (1, "0 !10", "0 wait, over: Connection refused"),
    (0, "0", "over: Cannot assign requested address"),
    (3, "0 249 250 499 500", "0 until 250, until 250, 1 until 500, until 500, 2 wait"),
    // One that fails is followed at once, and that one has its own time.
    (3, "0 !10 259 260", "0 until 250, 1 until 260, until 260, 2 wait"),
    (2, "0 !10 !20", "0 until 250, 1 wait, over: Connection refused"),
    // Late is late: nothing is made up for.
    (3, "0 9000 9001", "0 until 250, 1 until 9250, until 9250"),
    (3, "0 250 !300 !310 !320", "0 until 250, 1 until 500, 2 wait, wait, over: Connection refused"),
  ])
  func `each address is begun after a while, or after a failure`(
    _ count: Int, _ script: String, _ expected: String
  ) {
    #expect(moves(count, script) == expected)
  }

  /// The first one is given up for the second, which is begun at once; and what was missing is what is told
  /// in the end.
  @Test func `an address that had its time makes room`() {
    var race = AddressRace(count: 2)
    let start = Moment.now
    #expect(race.move(at: start) == .begin(0))
    #expect(race.move(at: start + .milliseconds(250)) == .begin(1))
    race.makeRoom(.tooManyOpenFiles)
    #expect(race.move(at: start + .milliseconds(250)) == .begin(1))
    #expect(race.shortage == .tooManyOpenFiles)
    race.fail(.connectionRefused)
    #expect(race.move(at: start + .milliseconds(260)) == .giveUp(.tooManyOpenFiles))
  }

  @Test(arguments: [
    ([Errno.connectionRefused, .timedOut], Errno.timedOut),
    ([.addressNotAvailable, .connectionRefused], .connectionRefused),
    ([.connectionRefused, .addressNotAvailable], .connectionRefused),
    ([.tooManyOpenFiles, .connectionRefused], .tooManyOpenFiles),
    ([.connectionRefused, .tooManyOpenFiles, .addressNotAvailable], .tooManyOpenFiles),
    ([.addressNotAvailable, .addressNotAvailable], .addressNotAvailable),
  ])
  func `a lack of our own is told first`(_ errors: [Errno], _ expected: Errno) {
    var race = AddressRace(count: errors.count)
    for error in errors {
      _ = race.move(at: .now)
      race.fail(error)
    }
    #expect(race.move(at: .now) == .giveUp(expected))
  }

  @Test func `families take turns`() {
    func four(_ last: UInt8) -> SocketAddress { SocketAddress(ip: [192, 0, 2, last], port: 1) }
    func six(_ last: UInt8) -> SocketAddress {
      SocketAddress(ip: [UInt8](repeating: 0, count: 15) + [last], port: 1)
    }
    #expect(
      AddressRace.interleaved([six(1), six(2), six(3), four(1), four(2)])
        == [six(1), four(1), six(2), four(2), six(3)])
    #expect(AddressRace.interleaved([four(1), six(1), six(2)]) == [four(1), six(1), six(2)])
    #expect(AddressRace.interleaved([]) == [])
  }
}
