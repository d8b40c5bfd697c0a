// swift-tools-version: 6.2
// A package of its own, so that whoever depends on the library builds none of this: the harness (`bench`),
// the C programs it is measured against (each one file, each moving standard input to standard output),
// the Swift movers, and the ends that feed and swallow. Nothing leaves the loopback.

import PackageDescription

let programs = [
  // The movers.
  "c-splice", "c-splice-direct", "c-readwrite", "c-relay-epoll", "c-pipe", "c-fan-splice", "c-fan-write",
  "c-relay-splice",
  // The ends.
  "c-source", "c-swallow", "c-pingpong", "c-load",
]

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error), .strictMemorySafety(), .swiftLanguageMode(.v6)]

let package = Package(
  name: "benchmarks",
  products: (programs + ["bench", "mover", "logger", "bare-parser"]).map {
    .executable(name: $0, targets: [$0])
  },
  dependencies: [
    .package(name: "swift-splice", path: ".."),
    .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
  ],
  // SwiftPM links C programs as it links Swift ones, with the whole Swift runtime, and starting one then
  // costs four times what C costs. Fully static, with no Swift in it, is the other extreme: nothing starts
  // faster. (Needs glibc's libc.a.)
  targets: programs.map {
    .executableTarget(
      name: $0, cSettings: [.treatAllWarnings(as: .error)],
      linkerSettings: [.unsafeFlags(["-static-executable", "-nostartfiles"])])
  } + [
    .executableTarget(name: "bench", swiftSettings: strict),
    .executableTarget(
      name: "mover",
      dependencies: [
        .product(name: "Splice", package: "swift-splice"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error), .swiftLanguageMode(.v6)]),
    .executableTarget(
      name: "logger",
      dependencies: [
        .product(name: "Splice", package: "swift-splice"),
        .product(name: "SpliceLogging", package: "swift-splice"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error), .swiftLanguageMode(.v6)]),
    .executableTarget(
      name: "bare-parser",
      dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: [.treatAllWarnings(as: .error), .swiftLanguageMode(.v6)]),
    .testTarget(name: "benchTests", dependencies: ["bench"], swiftSettings: strict),
  ]
)
