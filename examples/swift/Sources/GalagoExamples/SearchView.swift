import ImageIO
import PhotosUI
import SwiftUI

/// Pick photos, type words, see the nearest first.
public struct SearchView: View {
    let folder: URL
    let name: String
    @State private var search: PhotoSearch?
    @State private var picked: [PhotosPickerItem] = []
    @State private var pictures: [CGImage] = []
    @State private var order: [Int] = []
    @State private var words = ""
    @State private var trouble = ""

    public init(folder: URL, name: String) {
        self.folder = folder
        self.name = name
    }

    public var body: some View {
        VStack {
            PhotosPicker("Add photos", selection: $picked, matching: .images)
            TextField("What are you looking for?", text: $words)
                .textFieldStyle(.roundedBorder)
                .onSubmit { Task { await find() } }
            Text(trouble).foregroundStyle(.red)
            ScrollView {
                LazyVGrid(columns: [GridItem(.adaptive(minimum: 120))]) {
                    ForEach(order, id: \.self) { number in
                        Image(decorative: pictures[number], scale: 1).resizable().scaledToFit()
                    }
                }
            }
        }
        .padding()
        .onChange(of: picked) { Task { await add() } }
    }

    private func loaded() async throws -> PhotoSearch {
        if let search { return search }
        let made = try await PhotoSearch(folder: folder, name: name)
        search = made
        return made
    }

    private func add() async {
        do {
            for item in picked {
                guard let data = try await item.loadTransferable(type: Data.self),
                    let source = CGImageSourceCreateWithData(data as CFData, nil),
                    let picture = CGImageSourceCreateImageAtIndex(source, 0, nil)
                else { continue }
                try await loaded().add(picture)
                pictures.append(picture)
                order.append(pictures.count - 1)
            }
            picked = []
        } catch { trouble = error.localizedDescription }
    }

    private func find() async {
        do { order = try await loaded().search(words) } catch {
            trouble = error.localizedDescription
        }
    }
}
