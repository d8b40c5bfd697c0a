// `digest:ALGORITHM`: a sink that keeps nothing but the digest of what it got.

#if Services
import Crypto
import Splice
import SystemPackage

/// Hashes what comes to a sink of a fan-out.
struct Digest: ~Copyable {
  /// What can be printed, by the names of `sha256sum` and its kin. MD5 is for comparing with what others have
  /// written down.
  enum Algorithm: String, CaseIterable, Sendable {
    case sha256, sha512, md5
  }

  private var hash: any HashFunction

  init(_ algorithm: Algorithm) {
    hash =
      switch algorithm {
      case .sha256: SHA256()
      case .sha512: SHA512()
      case .md5: Insecure.MD5()
      }
  }

  /// Takes everything, until the stream ends, and answers with the digest in hexadecimal.
  mutating func take(from sink: FanOut.Sink, waitingIn poll: BlockingWait) throws(SpliceError) -> String {
    var pipe: SplicePipe
    do throws(Errno) { pipe = try SplicePipe(.memory) } catch { throw .pipe(error) }
    while try sink.fill(&pipe, waitingIn: poll) != .endOfFile {
      do throws(Errno) {
        while let segment = try pipe.takeSegment() {
          segment.withBytes { bytes in
            unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
          }
        }
      } catch { throw .sink(error) }
    }
    return hash.bytes.map { byte in
      let hex = String(byte, radix: 16)
      return hex.count == 1 ? "0\(hex)" : hex
    }.joined()
  }
}

extension HashFunction {
  fileprivate var bytes: [UInt8] { Array(finalize()) }
}
#else
import Splice

/// Refused when the command line is read: there is nothing here that hashes.
struct Digest: ~Copyable {
  enum Algorithm: String, CaseIterable, Sendable {
    case sha256, sha512, md5
  }

  init(_ algorithm: Algorithm) {}

  mutating func take(from sink: FanOut.Sink, waitingIn poll: BlockingWait) throws(SpliceError) -> String {
    throw .sink(.notSupported)
  }
}
#endif
