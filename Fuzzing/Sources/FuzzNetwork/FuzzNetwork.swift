// What of ours parses the bytes of a proxy: PROXY headers.
//
// That nothing crashes is the least. A parser of a stream must also say the same however the stream was cut,
// and understand what it writes itself.

import Fuzzer

@testable import SpliceServices

@main struct FuzzNetwork {
  static func main() {
    fuzz { bytes in
      for accepted: Set<Relay.ProxyVersion> in [[.v1], [.v2], [.v1, .v2]] { check(bytes, accepted) }
    }
  }
}

/// What is said of some bytes.
private enum Verdict: Equatable {
  case whole(ProxyHeader, Int), part, refused

  init(_ bytes: ArraySlice<UInt8>, _ accepted: Set<Relay.ProxyVersion>) {
    do throws(ProxyHeader.Malformed) {
      let found = try ProxyHeader.parse(bytes, accepting: accepted)
      self = found.map { .whole($0.header, $0.length) } ?? .part
    } catch { self = .refused }
  }
}

private func check(_ bytes: [UInt8], _ accepted: Set<Relay.ProxyVersion>) {
  // Somewhere inside of something else, where indices do not begin at 0.
  let shifted = ([0xff, 0xff] + bytes).dropFirst(2)
  let verdict = Verdict(shifted, accepted)
  switch verdict {
  case .part: precondition(bytes.count < ProxyHeader.longest, "more bytes are wanted than there may be")
  case .refused:
    // Neither more bytes nor fewer make it right.
    precondition(Verdict(shifted + [0x0a], accepted) == .refused)
    for cut in cuts(of: bytes.count) {
      if case .whole = Verdict(shifted.prefix(cut), accepted) {
        preconditionFailure("the front of nothing was accepted")
      }
    }
  case .whole(let header, let length):
    precondition(length > 0 && length <= min(bytes.count, ProxyHeader.longest))
    precondition(Verdict(shifted.prefix(length), accepted) == verdict, "what follows a header changes it")
    for cut in cuts(of: length) {
      precondition(Verdict(shifted.prefix(cut), accepted) == .part, "a part of a header is not one")
    }
    for version in [Relay.ProxyVersion.v1, .v2] { again(header, version) }
  }
}

/// Some places to cut so many bytes at.
private func cuts(of count: Int) -> some Sequence<Int> {
  stride(from: 0, to: count, by: max(1, count / 64))
}

/// What is written is understood, and the same when it is written again.
private func again(_ header: ProxyHeader, _ version: Relay.ProxyVersion) {
  let written = header.bytes(version)
  guard case .whole(let read, written.count) = Verdict(written[...], [version]) else {
    preconditionFailure("a header of ours is not understood")
  }
  precondition(read.bytes(version) == written)
}
