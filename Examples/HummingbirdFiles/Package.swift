// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "hummingbird-files",
  dependencies: [
    .package(name: "swift-splice", path: "../..", traits: ["Logging", "NIO"]),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.81.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.24.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
  ],
  targets: [
    .executableTarget(
      name: "HummingbirdFiles",
      dependencies: [
        .product(name: "Splice", package: "swift-splice"),
        .product(name: "SpliceLogging", package: "swift-splice"),
        .product(name: "SpliceNIO", package: "swift-splice"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)]),
    // What a response costs without any of this: a peer of Benchmarks/serve.
    .executableTarget(
      name: "BareNIO",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)]),
  ],
  swiftLanguageModes: [.v6]
)
