// What cannot be copied, on its way into another task.

/// Carries a value that cannot be copied, such as a ``Descriptor``, a ``SplicePipe`` or an end of one, into a
/// task: a closure can capture this, and not the value.
///
/// ```swift
/// let client = Handover(try await listener.accept())
/// group.addTask { try await serve(client.take()) }
/// ```
public final class Handover<Value: ~Copyable & Sendable>: Sendable {
  private let place: Locked<Value?>

  /// Holds a value until it is taken, or lets it go with this.
  public init(_ value: consuming Value) { place = Locked(value) }

  /// The value, for the first taker; a trap for the next.
  public func take() -> Value {
    var taken: Value?
    place.withLock { swap(&$0, &taken) }
    guard let value = taken else { fatalError("what was handed over has been taken already") }
    return value
  }
}
