import CoreML
import Foundation

/// What `galago export --to coreml` writes, loaded from its folder.
enum Packages {
    static func load(_ name: String, in folder: URL) async throws -> MLModel {
        let package = folder.appending(path: "\(name).mlpackage")
        let compiled = try await MLModel.compileModel(at: package)
        return try await MLModel.load(contentsOf: compiled, configuration: MLModelConfiguration())
    }

    /// The one package whose name begins so.
    static func load(beginningWith start: [String], in folder: URL) async throws -> MLModel {
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let names = files.filter { $0.pathExtension == "mlpackage" }
            .map { $0.deletingPathExtension().lastPathComponent }
        guard let name = names.first(where: { name in start.contains { name.hasPrefix($0) } }) else {
            throw CocoaError(.fileNoSuchFile)
        }
        return try await load(name, in: folder)
    }
}

extension MLModel {
    /// One output of a prediction.
    func output(_ name: String, of inputs: [String: MLMultiArray]) async throws -> MLMultiArray {
        let given = try MLDictionaryFeatureProvider(dictionary: inputs)
        let made = try await prediction(from: given)
        guard let found = made.featureValue(for: name)?.multiArrayValue else {
            throw CocoaError(.coderValueNotFound)
        }
        return found
    }
}
