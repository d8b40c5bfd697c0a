// swift-tools-version: 6.2
// A package of its own, since all of it is built with libFuzzer's instruments: `scripts/fuzz` does that and
// runs it.

import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error), .swiftLanguageMode(.v6), .strictMemorySafety()]

/// A program that checks something with inputs that libFuzzer makes up.
func fuzzing(_ name: String, _ more: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: name, dependencies: ["Fuzzer", .product(name: "SpliceServices", package: "swift-splice")] + more,
    swiftSettings: strict)
}

let package = Package(
  name: "fuzzing",
  dependencies: [
    .package(name: "swift-splice", path: ".."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.81.0"),
  ],
  targets: [
    .systemLibrary(name: "CFuzzer", path: "CFuzzer"),
    .target(name: "Fuzzer", dependencies: ["CFuzzer"], swiftSettings: strict),
    fuzzing("FuzzNetwork"),
    fuzzing(
      "FuzzHTTP",
      [
        .product(name: "Splice", package: "swift-splice"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ]),
  ]
)
