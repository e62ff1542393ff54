import CoreGraphics
import CoreML
import Foundation
import Tokenizers

/// A MobileCLIP: puts pictures and words in one space, and finds the nearest.
public actor PhotoSearch {
    private let images, texts: MLModel
    private let tokenizer: any Tokenizer
    private var vectors: [[Float]] = []

    /// `name`: as the packages begin, such as "mobileclip_s0".
    public init(folder: URL, name: String) async throws {
        images = try await Packages.load("\(name)_image", in: folder)
        texts = try await Packages.load("\(name)_text", in: folder)
        tokenizer = try await AutoTokenizer.from(modelFolder: folder)
    }

    public func add(_ picture: CGImage) async throws {
        guard let wanted = images.modelDescription.inputDescriptionsByName["image"]?.imageConstraint
        else { throw CocoaError(.coderValueNotFound) }
        let value = try MLFeatureValue(cgImage: picture, constraint: wanted, options: nil)
        let given = try MLDictionaryFeatureProvider(dictionary: ["image": value])
        let made = try await images.prediction(from: given)
        vectors.append(try unit(made.featureValue(for: "final_emb_1")?.multiArrayValue))
    }

    /// Numbers of the pictures in the order they were added, best first.
    public func search(_ words: String, most: Int = 12) async throws -> [Int] {
        var ids = tokenizer.encode(text: words, addSpecialTokens: true)
        if ids.count > 77 { ids = Array(ids.prefix(76)) + [ids[ids.count - 1]] }
        ids += Array(repeating: 0, count: 77 - ids.count)
        let given = MLShapedArray(scalars: ids.map(Int32.init), shape: [1, 77])
        let made = try await texts.output("final_emb_1", of: ["text": MLMultiArray(given)])
        let asked = try unit(made)
        let cosines = vectors.map { zip($0, asked).reduce(0) { $0 + $1.0 * $1.1 } }
        return Array(cosines.indices.sorted { cosines[$0] > cosines[$1] }.prefix(most))
    }

    private func unit(_ array: MLMultiArray?) throws -> [Float] {
        guard let array else { throw CocoaError(.coderValueNotFound) }
        let numbers = MLShapedArray<Float>(array).scalars
        let length = max(numbers.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
        return numbers.map { $0 / length }
    }
}
