// Which errno means "this cannot splice", on which hop and for whom.
//
// A refusal moves nothing, so the hop can be done again by copying; a failure is the caller's to hear of.
// When the copy fails as well, its errno is the true one: /dev/full answers EINVAL to splice, and ENOSPC to
// write.

import SystemPackage

/// How long a refusal holds, and for which descriptors.
package enum Refusal: Sendable, Hashable {
  /// This descriptor, in this direction, for as long as it is open.
  case descriptor
  /// This process: the kernel or its sandbox has no such call.
  case process

  /// The one table. Nil means: a failure, not a refusal.
  package init?(_ errno: Errno, hop: Descriptor.Direction) {
    switch (errno, hop) {
    // The file's type has no splice_read: /dev/null, /proc/self/status, an eventfd.
    case (.invalidArgument, .source): self = .descriptor
    // No splice_write, or O_APPEND: `>> file`, /dev/full.
    case (.invalidArgument, .sink): self = .descriptor
    // A driver or file system that declines, one descriptor at a time.
    case (.notSupportedOnSocket, _), (.notSupported, _): self = .descriptor
    // A sandbox; but also a sealed memfd, whose write says EPERM again. So this one descriptor only.
    case (.notPermitted, _): self = .descriptor
    // A kernel or sandbox without the call.
    case (.noFunction, _): self = .process
    default: return nil
    }
  }
}
