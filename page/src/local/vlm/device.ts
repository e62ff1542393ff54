/** Which device computes: the processor (WASM), or a graphics processor that is one (WebGPU). */

import type { Device } from "../ort";
import type { SiteModel } from "../site";

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|basic render|warp/i;
const LARGE = 100e6; // bytes of a model that the processor is too slow for

const NONE = "this browser has no graphics processor to compute with (WebGPU)";

/** In these the device itself computes in float16. */
export const HALVES: ReadonlySet<string> = new Set(["fp16", "q4f16"]);

interface Adapter {
  features: ReadonlySet<string>;
  isFallbackAdapter?: boolean;
  info?: { vendor: string; architecture: string; device: string; description: string; isFallbackAdapter?: boolean };
}

/** The browser's adapter; null where there is none. */
export async function adapter(): Promise<Adapter | null> {
  const { gpu } = navigator as { gpu?: { requestAdapter(wish: object): Promise<Adapter | null> } };
  try {
    return (await gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
  } catch {
    return null;
  }
}

/** Whether an adapter is a graphics processor, and not a program that plays one. */
export function isHardware({ isFallbackAdapter, info }: Adapter): boolean {
  const words = [info?.vendor, info?.architecture, info?.device, info?.description].join(" ");
  return !isFallbackAdapter && !info?.isFallbackAdapter && !SOFTWARE.test(words);
}

export const isLarge = ({ files }: SiteModel): boolean => files.reduce((sum, { bytes }) => sum + bytes, 0) > LARGE;

/** A graphics processor that is one; `forced`: or a program that plays one. Else why there is none. */
export async function graphics(forced = false): Promise<Adapter | string> {
  const found = await adapter();
  return found && (forced || isHardware(found)) ? found : NONE;
}

export const hasHalves = (found: Adapter | string): boolean =>
  typeof found !== "string" && found.features.has("shader-f16");

/** Why a model can't be computed by a graphics processor of this browser; null when it can. */
export async function noWebGpu(model: SiteModel, forced: boolean): Promise<string | null> {
  const found = await graphics(forced);
  if (typeof found === "string") return found;
  if (HALVES.has(model.dtype) && !hasHalves(found)) {
    return `${model.id} in ${model.dtype} needs a graphics processor that computes in float16 (shader-f16)`;
  }
  return null;
}

/** The device to begin with, and whether the other one is worth a trial. */
export interface Choice {
  device: Device;
  open: boolean;
}

/**
 * `asked` by name, for tests; `known` from an earlier trial. Small models begin on the processor; a
 * large one without a graphics processor is refused with the string.
 */
export async function choose(model: SiteModel, asked: Device | null, known: Device | null): Promise<Choice | string> {
  const large = isLarge(model);
  if (asked === "wasm") return { device: "wasm", open: false };
  if (known === "wasm" && !asked && !large) return { device: "wasm", open: false };
  const problem = await noWebGpu(model, asked === "webgpu");
  if (problem === null && (asked || known || large)) return { device: "webgpu", open: false };
  if (problem !== null && large) return `${model.id} is too large for the processor alone: ${problem}`;
  if (problem !== null && asked) return problem;
  return { device: "wasm", open: problem === null };
}
