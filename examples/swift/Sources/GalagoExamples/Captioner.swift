import CoreGraphics
import CoreML
import Foundation
import Tokenizers

/// galago.json: what a program must know beside the packages.
struct About: Decodable {
    let side: Int
    let fit: String
    let mean: [Float]
    let std: [Float]
    let image_tokens: Int
    let context: Int
    let eos_ids: [Int]
    let system: String
}

/// A FastVLM: looks at a picture and answers, greedily.
public actor Captioner {
    private let about: About
    private let trunk, projector, table, decoder: MLModel
    private let tokenizer: any Tokenizer

    public init(folder: URL) async throws {
        let text = try Data(contentsOf: folder.appending(path: "galago.json"))
        about = try JSONDecoder().decode(About.self, from: text)
        trunk = try await Packages.load(beginningWith: ["fastvithd", "trunk_"], in: folder)
        projector = try await Packages.load("projector", in: folder)
        table = try await Packages.load(beginningWith: ["embed_tokens"], in: folder)
        decoder = try await Packages.load(beginningWith: ["decoder"], in: folder)
        tokenizer = try await AutoTokenizer.from(modelFolder: folder)
    }

    public func caption(
        _ picture: CGImage, question: String = "Describe the image in English.", most: Int = 64
    ) async throws -> String {
        let before = "<|im_start|>system\n\(about.system)<|im_end|>\n<|im_start|>user\n"
        let behind = "\n\(question)<|im_end|>\n<|im_start|>assistant\n"
        var rows = try await embedded(tokenizer.encode(text: before, addSpecialTokens: false))
        rows += try await seen(picture)
        rows += try await embedded(tokenizer.encode(text: behind, addSpecialTokens: false))

        let state = decoder.makeState()
        var length = 0
        var said: [Int] = []
        while said.count < most, length + rows.count <= about.context {
            let next = try await step(rows, after: length, state: state)
            length += rows.count
            if about.eos_ids.contains(next) { break }
            said.append(next)
            rows = try await embedded([next])
        }
        return tokenizer.decode(tokens: said, skipSpecialTokens: true)
    }

    /// The most likely token behind rows of embeddings.
    private func step(_ rows: [[Float16]], after length: Int, state: MLState) async throws -> Int {
        let new = rows.count, all = length + new
        let embeds = MLShapedArray(scalars: rows.flatMap { $0 }, shape: [1, new, rows[0].count])
        var hidden = [Float16](repeating: 0, count: new * all)
        for row in 0..<new {
            for place in (length + row + 1)..<max(all, length + row + 1) {
                hidden[row * all + place] = -10000
            }
        }
        let mask = MLShapedArray(scalars: hidden, shape: [1, 1, new, all])
        let given = try MLDictionaryFeatureProvider(dictionary: [
            "inputs_embeds": MLMultiArray(embeds), "causal_mask": MLMultiArray(mask),
        ])
        let made = try await decoder.prediction(from: given, using: state)
        guard let logits = made.featureValue(for: "logits")?.multiArrayValue else {
            throw CocoaError(.coderValueNotFound)
        }
        let scores = MLShapedArray<Float16>(logits).scalars
        return scores.indices.max { scores[$0] < scores[$1] } ?? 0
    }

    private func embedded(_ ids: [Int]) async throws -> [[Float16]] {
        let given = MLShapedArray(scalars: ids.map(Int32.init), shape: [1, ids.count])
        let inputs = ["input_ids": MLMultiArray(given)]
        return rows(of: try await table.output("inputs_embeds", of: inputs))
    }

    private func seen(_ picture: CGImage) async throws -> [[Float16]] {
        let pixels = try Square.pixels(of: picture, about)
        let given = MLShapedArray(scalars: pixels, shape: [1, 3, about.side, about.side])
        let features = try await trunk.output(
            "image_features", of: ["images": MLMultiArray(given)])
        return rows(
            of: try await projector.output("inputs_embeds", of: ["image_features": features]))
    }

    /// [1, T, hidden] as T rows.
    private func rows(of array: MLMultiArray) -> [[Float16]] {
        let width = array.shape[2].intValue
        let numbers = MLShapedArray<Float16>(array).scalars
        return stride(from: 0, to: numbers.count, by: width).map {
            Array(numbers[$0..<($0 + width)])
        }
    }
}

/// A picture on a square, padded with the mean colour or its centre cut out, normalised.
enum Square {
    static func pixels(of picture: CGImage, _ about: About) throws -> [Float] {
        let side = about.side
        var bytes = [UInt8](repeating: 0, count: side * side * 4)
        let drawn = bytes.withUnsafeMutableBytes { memory -> Bool in
            guard
                let context = CGContext(
                    data: memory.baseAddress, width: side, height: side, bitsPerComponent: 8,
                    bytesPerRow: side * 4, space: CGColorSpace(name: CGColorSpace.sRGB)!,
                    bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else { return false }
            let mean = about.mean.map { CGFloat($0) }
            context.setFillColor(red: mean[0], green: mean[1], blue: mean[2], alpha: 1)
            context.fill(CGRect(x: 0, y: 0, width: side, height: side))
            context.interpolationQuality = .high
            let wide = CGFloat(picture.width), high = CGFloat(picture.height)
            let edge = about.fit == "pad" ? max(wide, high) : min(wide, high)
            let scale = CGFloat(side) / edge
            let size = CGSize(width: wide * scale, height: high * scale)
            let corner = CGPoint(
                x: (CGFloat(side) - size.width) / 2, y: (CGFloat(side) - size.height) / 2)
            context.draw(picture, in: CGRect(origin: corner, size: size))
            return true
        }
        guard drawn else { throw CocoaError(.featureUnsupported) }
        var planes = [Float](repeating: 0, count: 3 * side * side)
        for channel in 0..<3 {
            for place in 0..<(side * side) {
                let value = Float(bytes[place * 4 + channel]) / 255
                planes[channel * side * side + place] =
                    (value - about.mean[channel]) / about.std[channel]
            }
        }
        return planes
    }
}
