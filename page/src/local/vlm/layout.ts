/** A FastVLM in transformers.js' layout: which of a folder's files are read, and how it sees pictures. */

import { Refused } from "../../engine";
import type { ImageSpec, SiteFile, SiteModel } from "../site";
import { HALVES } from "./device";

export const STEMS = { vision: "vision_encoder", embedding: "embed_tokens", decoder: "decoder_model_merged" } as const;

type Part = keyof typeof STEMS;

/** Which dtype each graph has. */
export type Dtypes = Record<Part, string>;

const NEEDED = ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"];
const ALSO = ["generation_config.json", "doubt.tensors"];
const KINDS = ["llava_qwen2", "fast_vlm"];
const SUFFIX: Record<string, string> = { fp32: "", q8: "_quantized" };

/** Small first; of those whatever is computed in float32, where nothing overflows. */
const ORDER = ["q4", "q8", "int8", "q4f16", "fp16", "fp32"];

/** A look-up: halves lose nothing there. Rows of 4 bits, as others write them, ONNX Runtime's web build can't read. */
const ROWS = ["fp16", "int8", "q8", "fp32", "q4", "q4f16"];

/** What is read of config.json. */
export interface Config {
  model_type?: unknown;
  image_aspect_ratio?: unknown;
}

/** What is read of preprocessor_config.json. */
export interface Processor {
  size?: unknown;
  crop_size?: unknown;
  do_pad?: unknown;
  do_normalize?: unknown;
  image_mean?: unknown;
  image_std?: unknown;
  resample?: unknown;
}

const graph = (part: Part, dtype: string): string => `onnx/${STEMS[part]}${SUFFIX[dtype] ?? `_${dtype}`}.onnx`;

/** The dtypes to use of those there are; Refused when a graph is missing. `halves`: float16 can be computed. */
export function chooseDtypes(paths: ReadonlySet<string>, halves: boolean): Dtypes {
  const there = (part: Part, dtype: string): boolean => paths.has(graph(part, dtype));
  const computed = ORDER.filter((dtype) => halves || !HALVES.has(dtype));
  const both = computed.find((dtype) => there("vision", dtype) && there("decoder", dtype));
  const first = (part: Part, order: readonly string[]): string => {
    const found = order.find((dtype) => there(part, dtype));
    if (found !== undefined) return found;
    if (ORDER.some((dtype) => there(part, dtype))) {
      throw new Refused(
        "the model's folder has float16 alone, and this browser's graphics processor doesn't compute in it: export with --dtype q4",
      );
    }
    throw new Refused(`onnx/${STEMS[part]}….onnx is missing from this folder: open the one that galago export --to onnx wrote`);
  };
  return {
    vision: both ?? first("vision", computed),
    embedding: first("embedding", ROWS),
    decoder: both ?? first("decoder", computed),
  };
}

/** The files to read, of all that a folder has. */
export function filesOf(all: readonly SiteFile[], dtypes: Dtypes): SiteFile[] {
  const graphs = (Object.keys(STEMS) as Part[]).map((part) => graph(part, dtypes[part]));
  for (const path of [...NEEDED, ...graphs]) {
    if (!all.some((file) => file.path === path)) {
      throw new Refused(`${path} is missing from this folder: open the one that galago export --to onnx wrote`);
    }
  }
  const beside = (path: string): boolean => graphs.some((name) => path === name || path.startsWith(`${name}_data`));
  return all.filter(({ path }) => NEEDED.includes(path) || ALSO.includes(path) || beside(path));
}

/** The one by which a device is chosen. */
export const dtypeOf = ({ vision, decoder }: Dtypes): string => (HALVES.has(vision) ? vision : decoder);

/** A model as the page has its own; nobody knows what it was taught. */
export function modelOf(
  about: Pick<SiteModel, "id" | "licence" | "folder" | "files" | "presets">,
  dtypes: Dtypes,
  config: Config,
  processor: Processor,
): SiteModel {
  if (!KINDS.includes(String(config.model_type))) {
    throw new Refused(`this folder's model is of another kind (${String(config.model_type)}): FastVLM is needed, ${KINDS.join(" or ")}`);
  }
  const presets = about.presets.map((preset) => ({ ...preset, possible: true }));
  return { ...about, presets, kind: "fastvlm", demo: false, knows: "", dtype: dtypeOf(dtypes), image: imageOf(config, processor) };
}

/** As galago/checkpoints/vlm_config.py reads it. */
export function imageOf(config: Config, processor: Processor): ImageSpec {
  const sizes = [processor.crop_size, processor.size].flatMap((size) => (typeof size === "object" && size ? Object.values(size) : [size]));
  const side = sizes.find((size) => typeof size === "number" && size > 0 && size % 64 === 0) as number | undefined;
  if (side === undefined) throw new Refused("preprocessor_config.json doesn't say how large pictures are (crop_size)");
  const resample = ({ 2: "bilinear", 3: "bicubic" } as const)[Number(processor.resample ?? 3)];
  if (!resample) throw new Refused(`preprocessor_config.json asks for a way to resize that this page lacks (${String(processor.resample)})`);
  const normal = processor.do_normalize !== false;
  return {
    side,
    fit: config.image_aspect_ratio === "pad" || processor.do_pad === true ? "pad" : "crop",
    resample,
    rounded: false,
    mean: normal ? triple(processor.image_mean, 0) : [0, 0, 0],
    std: normal ? triple(processor.image_std, 1) : [1, 1, 1],
  };
}

function triple(given: unknown, plain: number): [number, number, number] {
  if (given === undefined || given === null) return [plain, plain, plain];
  if (Array.isArray(given) && given.length === 3 && given.every((each) => typeof each === "number")) {
    return given as [number, number, number];
  }
  throw new Refused("preprocessor_config.json has no three numbers as image_mean or image_std");
}
