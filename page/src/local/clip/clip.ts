/** MobileCLIP in the worker: pictures and words as unit vectors of one space, as galago/clip has them. */

import type { Sorted } from "../../engine";
import { type OnBytes, readFiles } from "../files";
import type { InferenceSession } from "onnxruntime-web/wasm";
import { openSession, type Ort, possibleThreads, runtime } from "../ort";
import { normalise, square } from "../pixels";
import type { Site, SiteModel } from "../site";
import { Taught } from "./doubt";
import { BEGINNING, taken } from "./exif";
import { ClipTokenizer } from "./ids";
import { needsEnglish } from "./language";
import { shares } from "./shares";

export const THUMB = 320; // pixels of the longer side
export const PREVIEW = 1024;
const QUALITY = 0.8; // of both, as JPEG
const DOUBT = "doubt.tensors";
const TEXT_BATCH = 8;

const SUFFIX: Record<string, string> = { fp32: "", fp16: "_fp16", int8: "_int8", q8: "_quantized", q4: "_q4", q4f16: "_q4f16" };

/** A picture that was looked at. */
export interface Looked {
  vector: Float32Array; // unit, (dim,)
  taken: string; // "2025-06-14 18:30:05", or ""
  digest: string; // of the file's bytes; "" where the browser computes none
  thumb: Blob;
  preview: Blob | null; // where it was asked for
}

/** Why a picture was not looked at. */
export interface Refusal {
  reason: string;
}

/** Texts that were read: unit rows one behind the other, and of each what is to be told. */
export interface Read {
  rows: Float32Array;
  strange: boolean[]; // it names nothing that the model was taught
  cut: boolean[]; // its end was left out
}

interface Words {
  tower: InferenceSession;
  tokenizer: ClipTokenizer;
  scale: number; // of the cosines
}

/** What the worker exposes. Towers and words are read when they are first needed. */
export class Clip {
  private source: { base: string; site: Site; model: SiteModel } | null = null;
  private vision: Promise<InferenceSession> | null = null;
  private text: Promise<Words> | null = null;
  private taught: Promise<Taught | null> | null = null;
  private onBytes: OnBytes = () => {};

  /** Which model it is; `onBytes` hears how much of what is needed is there. */
  use(base: string, site: Site, model: SiteModel, onBytes: OnBytes): void {
    this.onBytes = onBytes;
    if (this.source?.model.folder === model.folder) return;
    this.source = { base, site, model };
    this.vision = this.text = this.taught = null;
  }

  /** Look at a picture; `preview`: also make a larger one to keep. */
  async look(file: Blob, preview: boolean): Promise<Looked | Refusal> {
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" }); // turned as its EXIF says
    } catch {
      return { reason: await whyNot(file) };
    }
    try {
      const [vector, thumb, larger, bytes] = await Promise.all([
        this.seen(bitmap),
        smaller(bitmap, THUMB),
        preview ? smaller(bitmap, PREVIEW) : null,
        file.arrayBuffer(),
      ]);
      const beginning = new Uint8Array(bytes, 0, Math.min(BEGINNING, bytes.byteLength));
      return { vector, thumb, preview: larger, taken: taken(beginning), digest: await digestOf(bytes) };
    } finally {
      bitmap.close();
    }
  }

  /** The unit vector of a picture alone. */
  async embedPicture(file: Blob): Promise<Float32Array | Refusal> {
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
    } catch {
      return { reason: await whyNot(file) };
    }
    try {
      return await this.seen(bitmap);
    } finally {
      bitmap.close();
    }
  }

  /** Unit rows of texts; longer than 77 tokens are cut, which is told. */
  async read(texts: readonly string[]): Promise<Read> {
    const { tower, tokenizer } = await this.words();
    const { Tensor } = await this.ort();
    const rows: Float32Array[] = [];
    for (let first = 0; first < texts.length; first += TEXT_BATCH) {
      const part = texts.slice(first, first + TEXT_BATCH);
      const ids = new BigInt64Array(part.length * tokenizer.context);
      for (const [at, text] of part.entries()) ids.set(await tokenizer.row(text), at * tokenizer.context);
      const { text_embeds: found } = await tower.run({
        input_ids: new Tensor("int64", ids, [part.length, tokenizer.context]),
      });
      if (!found) throw new Error("the text tower has no text_embeds");
      const width = found.dims[1] ?? 0;
      const data = found.data as Float32Array;
      for (let at = 0; at < part.length; at++) rows.push(unit(data.slice(at * width, (at + 1) * width)));
    }
    const taught = await this.whatWasTaught();
    const strange = texts.map((text, at) => !needsEnglish(text) && taught !== null && taught.strange(rows[at]!));
    const cut = await Promise.all(texts.map((text) => tokenizer.truncated(text)));
    return { rows: joined(rows), strange, cut };
  }

  /** Shares of labels by the softmax of the scaled cosines; `doubted`: probably none of what it was taught. */
  async sort(picture: Blob, labels: readonly string[]): Promise<(Omit<Sorted, "doubt"> & { doubted: boolean }) | Refusal> {
    const seen = await this.embedPicture(picture);
    if (!(seen instanceof Float32Array)) return seen;
    const { rows, strange } = await this.read(labels.map((label) => `a photo of a ${label}.`));
    const { scale } = await this.words();
    const taught = await this.whatWasTaught();
    const found = shares(rows, seen, scale).map((share, at) => ({ label: labels[at]!, share, strange: strange[at]! }));
    found.sort((one, other) => other.share - one.share);
    return { labels: found, doubted: taught !== null && taught.doubts(taught.known(seen)) };
  }

  /** Close what is open; it is read again when it is needed. */
  async close(): Promise<void> {
    const [vision, text] = [this.vision, this.text];
    this.vision = this.text = null;
    await (await vision)?.release();
    await (await text)?.tower.release();
  }

  private async seen(bitmap: ImageBitmap): Promise<Float32Array> {
    const { image } = this.model();
    const tower = await (this.vision ??= forgotten(this.graph("vision_model"), () => (this.vision = null)));
    const { Tensor } = await this.ort();
    const values = normalise(square(pixelsOf(bitmap), image), image);
    const { image_embeds: found } = await tower.run({
      pixel_values: new Tensor("float32", values, [1, 3, image.side, image.side]),
    });
    if (!found) throw new Error("the vision tower has no image_embeds");
    return unit((found.data as Float32Array).slice());
  }

  private named(): { base: string; site: Site; model: SiteModel } {
    if (!this.source) throw new Error("no model was named");
    return this.source;
  }

  private model(): SiteModel {
    return this.named().model;
  }

  private files(paths: readonly string[]): Promise<Uint8Array[]> {
    const { base, model } = this.named();
    return readFiles(base, model, paths, this.onBytes);
  }

  /** The runtime by this processor: what a small tower would gain elsewhere goes by on the way. */
  private ort(): Promise<Ort> {
    const { base, site } = this.named();
    return runtime("wasm", base, site, possibleThreads());
  }

  private async graph(name: string): Promise<InferenceSession> {
    const [bytes] = await this.files([`onnx/${name}${SUFFIX[this.model().dtype] ?? ""}.onnx`]);
    return openSession(await this.ort(), "wasm", { bytes: bytes!, external: [] });
  }

  private words(): Promise<Words> {
    return (this.text ??= forgotten(this.openWords(), () => (this.text = null)));
  }

  private async openWords(): Promise<Words> {
    const suffix = SUFFIX[this.model().dtype] ?? "";
    const [graph, ...json] = await this.files([`onnx/text_model${suffix}.onnx`, "tokenizer.json", "config.json"]);
    const [pairs, config] = json.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as unknown);
    const { logit_scale_init_value: scale, text_config } = config as {
      logit_scale_init_value: number;
      text_config: { max_position_embeddings: number };
    };
    const tokenizer = new ClipTokenizer(pairs as ConstructorParameters<typeof ClipTokenizer>[0], text_config.max_position_embeddings);
    const tower = await openSession(await this.ort(), "wasm", { bytes: graph!, external: [] });
    return { tower, tokenizer, scale: Math.exp(scale) };
  }

  private whatWasTaught(): Promise<Taught | null> {
    return (this.taught ??= forgotten(this.readTaught(), () => (this.taught = null)));
  }

  private async readTaught(): Promise<Taught | null> {
    if (!this.model().files.some(({ path }) => path === DOUBT)) return null;
    const [bytes] = await this.files([DOUBT]);
    return new Taught(bytes!);
  }
}

/** What failed once may work the next time. */
function forgotten<T>(work: Promise<T>, forget: () => void): Promise<T> {
  work.catch(forget);
  return work;
}

/** Its pixels, as they are. */
function pixelsOf(bitmap: ImageBitmap): ImageData {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** A JPEG whose longer side has at most `side` pixels. */
async function smaller(bitmap: ImageBitmap, side: number): Promise<Blob> {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((n) => Math.max(1, Math.round(n * scale)));
  const canvas = new OffscreenCanvas(width!, height!);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // what shines through has no colour in JPEG
  context.fillRect(0, 0, width!, height!);
  context.drawImage(bitmap, 0, 0, width!, height!);
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}

async function digestOf(bytes: ArrayBuffer): Promise<string> {
  const { subtle } = crypto as { subtle?: SubtleCrypto }; // pages that came by plain http have none
  if (!subtle) return "";
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes)).subarray(0, 16);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Why the browser doesn't open a file: it may be HEIC, which few browsers know, or nothing that it knows. */
async function whyNot(file: Blob): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  } catch {
    return "it can't be read: it was moved, changed or deleted since it was chosen";
  }
  const text = String.fromCharCode(...bytes);
  if (text.slice(4, 8) === "ftyp" && /^(hei|hev|mif|msf)/.test(text.slice(8))) {
    return "this browser can't open HEIC pictures: turn it into a JPEG, or use a browser that can (Safari)";
  }
  return "it is no picture that this browser can open, or it is damaged";
}

function unit(row: Float32Array): Float32Array {
  const length = Math.hypot(...row);
  return row.map((value) => value / Math.max(length, 1e-12));
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const width = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * width);
  rows.forEach((row, at) => all.set(row, at * width));
  return all;
}
