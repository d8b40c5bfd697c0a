// `splice doctor [PLACE...]`: its flags, and the examination.

import ArgumentParser
import CSplice
import Splice
import SpliceProcess
import SystemPackage

struct DoctorTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Tell what this kernel, this user and this sandbox allow.",
    discussion: """
      Limits, which kinds of descriptors splice, where pages are shared and where they are copied, which system \
      calls are refused. It experiments with pipes, sockets and files of its own, which have no name, and writes \
      to nothing else.

      splice doctor /srv tcp:backup:9000
      """)

  @Argument(
    help: "What else to ask: a file, a directory, tcp:HOST:PORT or unix:PATH.", completion: .file(),
    transform: Endpoint.init(parsing:))
  var places: [Endpoint] = []

  @Flag(help: "One JSON object instead of a table.")
  var json = false

  func validate() throws {
    for endpoint in places where ExaminedPlace(endpoint.place) == nil {
      throw ValidationError("'\(endpoint.word)': doctor asks a file, a directory, tcp:HOST:PORT or unix:PATH")
    }
  }

  func run() { Signals.exit(DoctorPlan(places: places, writesJSON: json).run()) }
}

/// What is to be found out.
struct DoctorPlan: Sendable {
  let places: [Endpoint]
  let writesJSON: Bool

  /// Finds it out, says it, and answers with the status to exit with.
  func run() -> Status {
    // A file that may not grow is an errno like others.
    Syscall.ignore(signal: SIGXFSZ)
    let calls = Calls()
    Specimen.mayUseMemory.store(calls.isAllowed(.memfdCreate), ordering: .relaxed)
    let machine = Machine()
    var diagnosis = Diagnosis()
    diagnosis.sections = [
      Diagnosis.Section(title: "This machine", rows: Row.apart("this machine") { machine.rows }),
      PipeLimits(isPrivileged: machine.isPrivileged).section, calls.section,
      Diagnosis.Section(title: "What splices", rows: KindOfDescriptor.all.map(\.rowApart)),
    ]
    var status = Status.done
    let deadline = ContinuousClock.now + .milliseconds(1500)
    for endpoint in places {
      guard let place = ExaminedPlace(endpoint.place) else { continue }
      do throws(Failure) { diagnosis.sections.append(try place.section(endpoint, until: deadline)) } catch {
        StandardDescriptors.complain(error.message)
        status = error.status
      }
    }
    if places.isEmpty {
      diagnosis.sections.append(
        Diagnosis.Section(
          title: "Files here", rows: Row.apart("files here") { FileSystemRows(directory: ".").rows }))
    }
    diagnosis.missing = calls.missing + (machine.isKernelTooOld ? ["Linux \(Machine.oldest)"] : [])
    let text = writesJSON ? diagnosis.json : diagnosis.text(columns: StandardDescriptors.columns)
    return StandardDescriptors.show(text, diagnosis.missing.isEmpty ? status : .unavailable)
  }
}
