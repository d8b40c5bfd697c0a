// `splice SOURCE SINK SINK...`: the same bytes to many places, each at its own pace, on the built command.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct SpreadTests {
  private let here: TemporaryDirectory
  private let content = bytes(3_000_001, seed: 8)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  private func sinks(_ run: Run) throws -> [[String: Any]] {
    try #require(try stats(run)["sinks"] as? [[String: Any]])
  }

  @Test func aFileIsReadByEachAndAStreamIsTeed() throws {
    let file = try shell("$splice a b append:c d --stats json && cmp a b && cmp a c && cmp a d", in: here)
    #expect(file.status == 0, "\(file.errors)")
    for sink in try sinks(file) { #expect(sink["delivered"] as? Int == content.count) }
    let stream = try shell(
      "cat a | $splice - b append:c d --stats json && cmp a b && cat a a | cmp c && cmp a d", in: here)
    #expect(stream.status == 0, "\(stream.errors)")
    let paths = try sinks(stream).map { try #require($0["paths"] as? [String: Int]) }
    // All but the last are teed; what is appended must be copied at the end.
    #expect(paths == [["tee": content.count], ["copy": content.count], ["splice": content.count]])
  }

  @Test(arguments: ["EPERM", "ENOSYS"])
  func whereTeeIsRefusedTheBytesAreCopied(_ errno: String) throws {
    let run = try shell(
      "cat a | strace -f -qq -o /dev/null -e trace=tee -e inject=tee:error=\(errno) $splice - b c digest:sha256 && cmp a b && cmp a c",
      in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.errors == (try shell("sha256sum <a", in: here).text))
  }

  @Test func aFailedSinkIsReportedAndTheOthersAreFinished() throws {
    let run = try shell(
      "cat a | $splice - b /dev/full c --stats json; s=$?; cmp a b && cmp a c && exit $s", in: here)
    #expect(run.status == 74)
    #expect(run.errorLines.first == "splice: /dev/full: write: No space left on device")
    let errors = try sinks(run).map { ($0["error"] as? [String: Any])?["errno"] as? String }
    #expect(errors == [nil, "ENOSPC", nil])
  }

  @Test func whenAllSinksHaveFailedTheSourceIsReadNoFurther() throws {
    // An endless source: it would else never end.
    let run = try shell("$splice zero: /dev/full /dev/full --stats json", in: here)
    #expect(run.status == 74)
    #expect(run.errors.contains("splice: /dev/full: write: No space left on device"))
  }

  @Test func sinksThatMayFailFailNothing() throws {
    let run = try shell(
      "cat a | $splice - b --skip-slow /dev/full --detach-slow exec:'exit 3' --stats json && cmp a b",
      in: here)
    #expect(run.status == 0, "\(run.errors)")
    let policies = try sinks(run).map { $0["policy"] as? String }
    #expect(policies == ["wait", "skip", "detach"])
    #expect(try sinks(run).map { $0["error"] is [String: Any] } == [false, true, true])
  }

  @Test func aStoppedReaderThatMaySkipHoldsNobodyUp() throws {
    // It reads nothing until the file is complete; then it gets what it did not miss, in whole units.
    let run = try shell(
      """
      mkfifo slow
      (exec 3<slow; until cmp -s a b; do sleep 0.05; done; cat <&3 >got) &
      cat a | $splice - b --skip-slow slow --align 188 --stats json
      s=$?; wait; exit $s
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try here.contents("b") == content)
    let slow = try sinks(run)[1]
    let (skipped, delivered) = (slow["skipped"] as? Int ?? 0, slow["delivered"] as? Int ?? 0)
    #expect(skipped > 0 && delivered + skipped == content.count)
    let got = try here.contents("got")
    #expect(got.count == delivered)
    // The first gap begins where what it got first ends; what follows may begin like what is missing, by chance.
    let first = zip(got, content).prefix { $0 == $1 }.count
    #expect(first == got.count || first % 188 < 4)
  }

  @Test func aReaderThatNeverReadsIsLetGoAndSaidSo() throws {
    let run = try shell(
      """
      mkfifo never; exec 3<>never
      cat a | $splice - b --detach-slow never --stats json && cmp a b
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
    let error = try #require(try sinks(run)[1]["error"] as? [String: Any])
    #expect(error["errno"] as? String == "ENOBUFS")
    #expect(
      run.errorLines.first?.hasPrefix("splice: never: write: could not keep up, and was let go ") == true)
  }

  @Test func aTruncatedSourceIsATruncatedStreamForAll() throws {
    // Two peers over TCP: neither sees a clean end when the source fails.
    let run = try python(
      """
      listeners = [listen() for _ in range(3)]
      copy = start(*[word for _, word in listeners])
      feeder, *peers = [l.accept()[0] for l, _ in listeners]
      feeder.sendall(b"x" * 1000)
      for peer in peers:
          check(peer.recv(1000, socket.MSG_WAITALL) == b"x" * 1000, 'the bytes')
      reset(feeder)
      for peer in peers:
          try: check(False, 'a clean end', peer.recv(1))
          except ConnectionResetError: pass
      check(copy.wait() == 74, copy.returncode)
      said = copy.stderr.read().decode()
      check(said.count("read: Connection reset by peer") == 1, said)
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func aDigestSeesTheVeryBytesTheOthersSaw() throws {
    let sum = try shell("sha256sum a", in: here).text
    let run = try shell("$splice a b digest:sha256 --stats json && cmp a b", in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.errorLines.first == sum.trimmingCharacters(in: .newlines))
    let digest = try sinks(run)[1]
    #expect(
      digest["digest"] as? String == String(sum.prefix(64)) && digest["delivered"] as? Int == content.count)
    // A file whose sinks are all waited for is else not teed.
    #expect((try sinks(run)[0]["paths"] as? [String: Int])?["tee"] == content.count)
    let alone = try shell("cat a | $splice - digest:sha256 --align 188 --skip-slow /dev/null", in: here)
    #expect(alone.status == 0 && alone.errors == sum.replacing("  a", with: "  -"))
    // One of a stream that broke off is none.
    let broken = try shell("$splice exec:'cat a; kill -9 $$' digest:sha256 --stats json", in: here)
    #expect(broken.status == 74)
    #expect(try shell("$splice digest:sha256 b", in: here).status == 64)
    #expect(try shell("$splice a digest:md5", in: here).status == 64)
    #expect(try shell("$splice join - digest:sha256", in: here).status == 64)
  }

  @Test func wrongUsageIsSaidAtOnce() throws {
    #expect(try shell("$splice a", in: here).status == 64)
    #expect(try shell("$splice a b --align 188", in: here).status == 64)
    #expect(try shell("$splice a b --skip-slow c --align 65K", in: here).status == 64)
    #expect(try shell("$splice a b c --resume", in: here).status == 64)
    let twice = try shell("ln a other; : > b; ln b c; $splice other b c", in: here)
    #expect(twice.status == 73 && twice.errors == "splice: c: open: is a sink already, b\n")
    let same = try shell("$splice a new a", in: here)
    #expect(same.status == 73 && same.errors == "splice: a: open: source and sink are the same file\n")
    #expect(try here.contents("a") == content)
  }
}
