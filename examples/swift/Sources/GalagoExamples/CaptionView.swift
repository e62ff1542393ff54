import AVFoundation
import CoreImage
import SwiftUI

/// What the camera sees now, in words: a picture is looked at when the last answer is there.
public struct CaptionView: View {
    let folder: URL
    @State private var said = "…"
    @State private var camera = Camera()

    public init(folder: URL) { self.folder = folder }

    public var body: some View {
        Text(said).font(.title2).padding().task { await watch() }
    }

    private func watch() async {
        do {
            let captioner = try await Captioner(folder: folder)
            for await picture in try await camera.pictures() {
                said = try await captioner.caption(picture)
            }
        } catch { said = error.localizedDescription }
    }
}

/// The newest picture of the camera; older ones are dropped.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
    private let session = AVCaptureSession()
    private let context = CIContext()
    private var give: AsyncStream<CGImage>.Continuation?

    func pictures() async throws -> AsyncStream<CGImage> {
        guard await AVCaptureDevice.requestAccess(for: .video),
            let device = AVCaptureDevice.default(for: .video)
        else { throw CocoaError(.userCancelled) }
        session.addInput(try AVCaptureDeviceInput(device: device))
        let output = AVCaptureVideoDataOutput()
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: DispatchQueue(label: "camera"))
        session.addOutput(output)
        let (stream, continuation) = AsyncStream.makeStream(
            of: CGImage.self, bufferingPolicy: .bufferingNewest(1))
        give = continuation
        continuation.onTermination = { [session] _ in session.stopRunning() }
        session.startRunning()
        return stream
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput buffer: CMSampleBuffer,
        from connection: AVCaptureConnection
    ) {
        guard let pixels = CMSampleBufferGetImageBuffer(buffer) else { return }
        let seen = CIImage(cvPixelBuffer: pixels)
        if let picture = context.createCGImage(seen, from: seen.extent) { give?.yield(picture) }
    }
}
