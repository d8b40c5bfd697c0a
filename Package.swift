// swift-tools-version: 6.2
import PackageDescription

// Swift 6 mode brings strict concurrency; these two bring the rest of the house rules.
let strict: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

// In debug builds a thread may have a simulated kernel, which the SimulationTests use; see Sources/CSplice/include/Simulation.h.
let simulation = "CSPLICE_SIMULATION"

// What the relay stands on, which takes most of the time of a build.
let services = TargetDependencyCondition.when(traits: ["Services"])
let nio = TargetDependencyCondition.when(traits: ["NIO"])
let logging = TargetDependencyCondition.when(traits: ["Logging"])

/// A program that shows how something is done.
func example(_ name: String, _ more: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: name, dependencies: ["Splice", .product(name: "SystemPackage", package: "swift-system")] + more,
    path: "Examples/\(name)", swiftSettings: [.treatAllWarnings(as: .error)])
}

let package = Package(
  name: "swift-splice",
  products: [
    .library(name: "Splice", targets: ["Splice"]),
    .library(name: "SpliceFoundation", targets: ["SpliceFoundation"]),
    .library(name: "SpliceLogging", targets: ["SpliceLogging"]),
    .library(name: "SpliceNIO", targets: ["SpliceNIO"]),
    .library(name: "SpliceServices", targets: ["SpliceServices"]),
    .executable(name: "splice", targets: ["SpliceCommand"]),
  ],
  // Who wants the library `Splice` alone names the package with `traits: []`, and gets swift-system and nothing else.
  traits: [
    .default(enabledTraits: ["Command", "Services"]),
    .trait(name: "Command", description: "The command splice: copy and join."),
    .trait(name: "Logging", description: "The library SpliceLogging."),
    .trait(name: "NIO", description: "The library SpliceNIO."),
    .trait(
      name: "Services", description: "The relay and its admin pages, the library SpliceServices, digests.",
      enabledTraits: ["Logging", "NIO"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.81.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
  ],
  targets: [
    .target(
      name: "CSplice",
      cSettings: [.define("_GNU_SOURCE"), .define(simulation, .when(configuration: .debug))]
    ),
    .target(
      name: "Splice",
      dependencies: ["CSplice", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict + [.define(simulation, .when(configuration: .debug))]
    ),
    .target(
      name: "SpliceFoundation",
      dependencies: ["Splice", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict
    ),
    .target(
      name: "SpliceNIO",
      dependencies: [
        "Splice", .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "NIOCore", package: "swift-nio", condition: nio),
      ],
      swiftSettings: strict
    ),
    .target(
      name: "SpliceLogging",
      dependencies: [
        "CSplice", "Splice", .product(name: "Logging", package: "swift-log", condition: logging),
        .product(name: "CoreMetrics", package: "swift-metrics", condition: logging),
      ],
      swiftSettings: strict
    ),
    .target(
      name: "SpliceServices",
      dependencies: [
        "CSplice", "Splice", .target(name: "SpliceNIO", condition: services),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "CoreMetrics", package: "swift-metrics", condition: services),
        .product(name: "Logging", package: "swift-log", condition: services),
        .product(name: "NIOCore", package: "swift-nio", condition: services),
        .product(name: "NIOHTTP1", package: "swift-nio", condition: services),
        .product(name: "NIOPosix", package: "swift-nio", condition: services),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: services),
      ],
      swiftSettings: strict
    ),
    .target(
      name: "SpliceProcess",
      dependencies: ["CSplice", "Splice", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict
    ),
    .executableTarget(
      name: "SpliceCommand",
      dependencies: [
        "CSplice",
        "Splice",
        "SpliceProcess",
        .target(name: "SpliceLogging", condition: services),
        .target(name: "SpliceServices", condition: services),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(
          name: "ArgumentParser", package: "swift-argument-parser", condition: .when(traits: ["Command"])),
        .product(name: "CoreMetrics", package: "swift-metrics", condition: services),
        .product(name: "Logging", package: "swift-log", condition: services),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: services),
        .product(name: "Crypto", package: "swift-crypto", condition: services),
      ],
      swiftSettings: strict
    ),

    // Programs that show what the documentation says, each run by the tests.
    example("HeaderAndFile"),
    example("Bridges", ["SpliceFoundation"]),
    example("TinyRelay"),
    example("Recorder"),
    example("LineCount"),
    example("Upload"),
    example("Backup"),
    example("Courier"),
    example("Forward"),
    example(
      "ForwardNIO",
      [
        .product(name: "NIOCore", package: "swift-nio", condition: nio),
        .product(name: "NIOPosix", package: "swift-nio", condition: nio),
      ]),
    example(
      "NIOFiles",
      [
        "SpliceNIO",
        .product(name: "NIOCore", package: "swift-nio", condition: nio),
        .product(name: "NIOPosix", package: "swift-nio", condition: nio),
      ]),

    // The driver of a guide: gzip through the system's zlib.
    .systemLibrary(name: "CZlib", path: "Examples/CZlib", providers: [.apt(["zlib1g-dev"])]),
    example("Gzip", ["CZlib"]),

    // Makes each system call once, to be watched and disturbed by strace.
    .executableTarget(
      name: "SyscallProbe",
      dependencies: ["Splice", "SpliceProcess", .product(name: "SystemPackage", package: "swift-system")],
      path: "Tests/SyscallProbe"
    ),
    // Writes records and ends in one way or the other.
    .executableTarget(
      name: "RecordProbe",
      dependencies: ["Splice", .product(name: "SystemPackage", package: "swift-system")],
      path: "Tests/RecordProbe"
    ),
    .target(
      name: "TestSupport",
      dependencies: ["Splice", .product(name: "SystemPackage", package: "swift-system")],
      path: "Tests/TestSupport"
    ),
    // The code in the documentation that is in no example.
    .target(
      name: "Documented",
      dependencies: [
        "Splice",
        .target(name: "SpliceLogging", condition: logging),
        .target(name: "SpliceNIO", condition: nio),
        .target(name: "SpliceServices", condition: services),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "Logging", package: "swift-log", condition: logging),
        .product(name: "NIOCore", package: "swift-nio", condition: nio),
        .product(name: "NIOHTTP1", package: "swift-nio", condition: nio),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: services),
      ],
      path: "Tests/Documented",
      swiftSettings: [.treatAllWarnings(as: .error)]
    ),
    .testTarget(
      name: "SpliceServicesTests",
      dependencies: [
        "Splice", "SpliceServices", "TestSupport",
        .product(name: "CoreMetrics", package: "swift-metrics", condition: services),
        .product(name: "Logging", package: "swift-log", condition: services),
        .product(name: "NIOHTTP1", package: "swift-nio", condition: services),
      ]),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "CSplice", "Splice", "SpliceServices",
        .product(name: "Logging", package: "swift-log", condition: services),
        .product(name: "CoreMetrics", package: "swift-metrics", condition: services),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: [.define(simulation, .when(configuration: .debug))]),
    .testTarget(
      name: "SpliceNIOTests",
      dependencies: [
        "Splice", "SpliceNIO", "TestSupport", .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "NIOCore", package: "swift-nio", condition: nio),
        .product(name: "NIOEmbedded", package: "swift-nio", condition: nio),
        .product(name: "NIOHTTP1", package: "swift-nio", condition: nio),
        .product(name: "NIOPosix", package: "swift-nio", condition: nio),
      ]),
    .testTarget(
      name: "SpliceLoggingTests",
      dependencies: [
        "Splice", "SpliceLogging", "TestSupport",
        .product(name: "Logging", package: "swift-log", condition: logging),
        .product(name: "MetricsTestKit", package: "swift-metrics", condition: logging),
      ]),
    .testTarget(name: "SpliceTests", dependencies: ["Splice", "SpliceFoundation", "TestSupport"]),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "SpliceCommand", "SyscallProbe", "RecordProbe", "HeaderAndFile", "Bridges", "Gzip", "TinyRelay",
        "Recorder",
        "LineCount", "Upload", "Backup", "Courier", "Forward", "ForwardNIO",
        "NIOFiles", "Documented",
        "TestSupport",
      ], exclude: ["Python"]),
  ],
  swiftLanguageModes: [.v6]
)
