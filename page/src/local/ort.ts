/** ONNX Runtime in this browser: where its files are, and a session from bytes. */

import type * as wasm from "onnxruntime-web/wasm";
import { Refused } from "../engine";
import { type OnBytes, readFiles } from "./files";
import type { Site } from "./site";

export type Ort = typeof wasm;
export type Device = "wasm" | "webgpu";

/** A model's file as it is read: the graph, and weights that stand beside it. */
export interface Graph {
  bytes: Uint8Array;
  external: { path: string; data: Uint8Array }[];
}

/** The smallest module that uses a 128-bit vector: (func (drop (v128.const 0))). */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 11,
]);

/** More than two seldom pay for models of this size, and the page wants a core for itself. */
export const usefulThreads = (): number => Math.min(2, navigator.hardwareConcurrency || 1);

/** How many threads may work: one where the page is not cross-origin isolated. */
export const possibleThreads = (): number => (self.crossOriginIsolated ? usefulThreads() : 1);

const opened = new Map<Device, Promise<Ort>>();

/** The runtime for a device, read once; `threads` counts the first time. */
export function runtime(
  device: Device, base: string, site: Site, threads: number, onBytes?: OnBytes,
): Promise<Ort> {
  const known = opened.get(device);
  if (known) return known;
  const opening = open(device, base, site, threads, onBytes);
  opened.set(device, opening);
  opening.catch(() => opened.delete(device)); // worth another try
  return opening;
}

const FILES: Record<Device, string> = {
  wasm: "ort-wasm-simd-threaded",
  webgpu: "ort-wasm-simd-threaded.asyncify",
};

async function open(
  device: Device, base: string, site: Site, threads: number, onBytes?: OnBytes,
): Promise<Ort> {
  if (!WebAssembly.validate(SIMD)) {
    throw new Refused("this browser is too old for the models (no WebAssembly SIMD): use Chrome 91, Firefox 89, Safari 16.4 or newer");
  }
  const name = FILES[device];
  const ort = (await (device === "wasm" ? import("onnxruntime-web/wasm") : import("onnxruntime-web/webgpu"))) as Ort;
  const folder = new URL(site.runtime.folder, base);
  const [binary] = await readFiles(base, site.runtime, [`${name}.wasm`], onBytes);
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.wasmPaths = { mjs: new URL(`${name}.mjs`, folder).href };
  ort.env.wasm.numThreads = threads; // more than one needs a page that is cross-origin isolated
  ort.env.wasm.proxy = false; // this is the worker
  ort.env.logLevel = "error";
  return ort;
}

export const openSession = (ort: Ort, device: Device, { bytes, external }: Graph): Promise<wasm.InferenceSession> =>
  ort.InferenceSession.create(bytes, {
    executionProviders: [device],
    graphOptimizationLevel: "all",
    ...(external.length && { externalData: external }),
  });
