/** ONNX Runtime in this browser: where its files are, and a session from bytes. */

import * as ort from "onnxruntime-web/wasm";

export { ort };

/** Before the first session: the folder of the runtime's files, and how many threads may work. */
export function configure(base: string, threads: number): void {
  ort.env.wasm.wasmPaths = new URL("runtime/", base).href;
  ort.env.wasm.numThreads = threads; // more than one needs a page that is cross-origin isolated
  ort.env.wasm.proxy = false; // this is the worker
}

export const openSession = (graph: Uint8Array): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(graph, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
