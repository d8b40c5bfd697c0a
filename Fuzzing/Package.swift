// swift-tools-version: 6.2
// A package of its own, since all of it is built with libFuzzer's instruments: `scripts/fuzz` does that and runs it.

import PackageDescription

let package = Package(
  name: "fuzzing",
  dependencies: [.package(name: "swift-splice", path: "..")],
  targets: [
    .systemLibrary(name: "CFuzzer", path: "CFuzzer"),
    .executableTarget(
      name: "FuzzNetwork",
      dependencies: ["CFuzzer", .product(name: "SpliceServices", package: "swift-splice")],
      swiftSettings: [.treatAllWarnings(as: .error), .swiftLanguageMode(.v6), .strictMemorySafety()]),
  ]
)
