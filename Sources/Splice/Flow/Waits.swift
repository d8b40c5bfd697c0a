// What a flow waits for: its descriptors, and the word that nothing more will come of the end it has.

import SystemPackage

/// What a flow may wait for. What is no descriptor of its own is ``RegistrationKey/none``.
struct Waits: Sendable {
  var source = RegistrationKey.none
  var sink = RegistrationKey.none
  /// Readable once there is nothing more to be done, whatever the descriptor does.
  var alarm = RegistrationKey.none

  func wait(as direction: Descriptor.Direction, until time: Moment?) -> StepResult {
    let interest = Interest(direction == .source ? source : sink, as: direction)
    return .wait(Wait(interest, alarm == .none ? nil : Interest(alarm, as: .source), until: time))
  }

  /// A rate lets nothing pass before this time.
  func pause(until time: Moment) -> StepResult {
    .wait(
      alarm == .none
        ? Wait(pausing: source, until: time) : Wait(nil, Interest(alarm, as: .source), until: time))
  }
}

extension RegistrationKey {
  /// For `poll`, which keeps no registrations.
  init(polling descriptor: FileDescriptor) { self.init(descriptor: descriptor, generation: 0) }
}
