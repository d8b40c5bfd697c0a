// Sources and sinks that are Swift code: handed a pipe, to fill it or to empty it as they wish.

import SystemPackage

/// Swift code that bytes come from, where a ``Descriptor`` will not do.
public protocol SpliceSource: ~Copyable {
  /// Puts some bytes into a pipe that has room, by any of its verbs, and waits for them as long as it takes.
  ///
  /// - Returns: How many bytes went in, no more than `limit`; `.wouldBlock` when the pipe has no more room; `.endOfFile` when
  ///   none will follow.
  mutating func spliceIn(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer
}

/// Swift code that bytes go to, where a ``Descriptor`` will not do.
public protocol SpliceSink: ~Copyable {
  /// Takes some bytes out of a pipe that holds some, by any of its verbs, and waits until it can. What it does not take, or
  /// has not taken when it throws, stays in the pipe.
  mutating func spliceOut(_ pipe: inout SplicePipe) async throws
}

// MARK: - Flows

extension SplicePipe {
  /// Moves bytes from a source through this pipe to a sink, both of them Swift code, until the source ends.
  ///
  /// - Returns: How many bytes the sink took.
  /// - Throws: What the source or the sink throws; ``SpliceError/cancelled`` after cancellation. The bytes that were taken and not
  ///   yet accepted are in this pipe, and calling again goes on.
  @discardableResult
  public mutating func splice(
    from source: inout some SpliceSource & ~Copyable, to sink: inout some SpliceSink & ~Copyable,
    upTo limit: UInt64 = .max
  ) async throws -> UInt64 {
    let (before, start) = (delivered, received)
    repeat {
      while count > 0 { try await handOver(to: &sink) }
    } while try await takeIn(from: &source, upTo: limit - (received - start))
    return delivered - before
  }

  /// Moves bytes from a descriptor through this pipe to Swift code, until the descriptor ends.
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, to sink: inout some SpliceSink & ~Copyable, upTo limit: UInt64 = .max,
    waitingOn readiness: some Readiness = .epoll
  ) async throws -> UInt64 {
    let (before, start) = (delivered, received)
    repeat {
      while count > 0 { try await handOver(to: &sink) }
    } while try await takeIn(from: source, upTo: limit - (received - start), waitingOn: readiness)
    return delivered - before
  }

  /// Moves bytes from Swift code through this pipe to a descriptor, until the source ends.
  @discardableResult
  public mutating func splice(
    from source: inout some SpliceSource & ~Copyable, to sink: borrowing Descriptor,
    upTo limit: UInt64 = .max,
    waitingOn readiness: some Readiness = .epoll
  ) async throws -> UInt64 {
    let (before, start) = (delivered, received)
    repeat {
      try await drain(to: sink, waitingOn: readiness)
    } while try await takeIn(from: &source, upTo: limit - (received - start))
    return delivered - before
  }

  /// Whether there may be more.
  private mutating func takeIn(
    from source: inout some SpliceSource & ~Copyable, upTo limit: UInt64
  ) async throws -> Bool {
    if limit == 0 { return false }
    let transfer = try await source.spliceIn(&self, upTo: Int(min(limit, 1 << 30)))
    if Task.isCancelled { throw SpliceError.cancelled }
    return transfer != .endOfFile
  }

  private mutating func takeIn(
    from source: borrowing Descriptor, upTo limit: UInt64, waitingOn readiness: some Readiness
  ) async throws(SpliceError) -> Bool {
    if limit == 0 { return false }
    let most = Int(min(limit, 1 << 30))
    let transfer: Transfer
    do throws(Errno) {
      transfer =
        source.kind.isDisk
        ? try await DiskThreads.shared.run { () throws(Errno) in try splice(from: source, upTo: most) }
        : try splice(from: source, upTo: most)
    } catch { throw .source(error) }
    // An empty pipe has room, so it is the source that has nothing.
    if transfer == .wouldBlock { try await readiness.waitOnce(for: source.raw, as: .source) }
    if Task.isCancelled { throw .cancelled }
    return transfer != .endOfFile
  }

  private mutating func handOver(to sink: inout some SpliceSink & ~Copyable) async throws {
    try await sink.spliceOut(&self)
    if Task.isCancelled, count > 0 { throw SpliceError.cancelled }
  }
}
