// swift-tools-version: 5.10
import PackageDescription

let package = Package(
    name: "GalagoExamples",
    platforms: [.iOS(.v18), .macOS(.v15)],
    products: [.library(name: "GalagoExamples", targets: ["GalagoExamples"])],
    dependencies: [
        .package(url: "https://github.com/huggingface/swift-transformers", from: "1.0.0")
    ],
    targets: [
        .target(
            name: "GalagoExamples",
            dependencies: [.product(name: "Tokenizers", package: "swift-transformers")]
        )
    ]
)
