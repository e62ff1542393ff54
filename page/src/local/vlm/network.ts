/** The three graphs of a FastVLM in transformers.js' layout: pictures to features, ids and features to logits. */

import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { type Device, type Graph, type Ort, openSession } from "../ort";

export interface Graphs {
  vision: Graph;
  embedding: Graph;
  decoder: Graph;
}

/** Keys and values of the positions fed so far, by the names under which they are fed again. */
export type Cache = Record<string, Tensor>;

export class Network {
  private constructor(
    private readonly ort: Ort,
    private readonly vision: InferenceSession,
    private readonly embedding: InferenceSession,
    private readonly decoder: InferenceSession,
  ) {}

  static async open(ort: Ort, device: Device, graphs: Graphs): Promise<Network> {
    // The embedding is a look-up: on the processor, whatever computes the rest.
    const embedding = await openSession(ort, "wasm", graphs.embedding);
    const vision = await openSession(ort, device, graphs.vision);
    return new Network(ort, vision, embedding, await openSession(ort, device, graphs.decoder));
  }

  /** Pixel values (3, side, side) to features (tokens, hidden). */
  async look(pixels: Float32Array, side: number): Promise<Float32Array> {
    const pixel_values = new this.ort.Tensor("float32", pixels, [1, 3, side, side]);
    return floats((await this.vision.run({ pixel_values }))["image_features"]);
  }

  /** Ids (T,) to embeddings (T, hidden). */
  async embed(ids: readonly number[]): Promise<Float32Array> {
    const input_ids = new this.ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
    return floats((await this.embedding.run({ input_ids }))["inputs_embeds"]);
  }

  emptyCache(): Cache {
    const cache: Cache = {};
    for (const { name, ...value } of this.decoder.inputMetadata) {
      if (!name.startsWith("past_key_values.") || !value.isTensor) continue;
      // The batch is one, of the past there is nothing yet; all else are numbers.
      const sizes = value.shape.map((size, axis) => (typeof size === "number" ? size : axis === 0 ? 1 : 0));
      const data = value.type === "float16" ? new Uint16Array(0) : new Float32Array(0);
      cache[name] = new this.ort.Tensor(value.type as "float32", data as Float32Array, sizes);
    }
    return cache;
  }

  /** Feed `count` positions behind `past` others: logits (vocab,) after the last, and the cache that is now. */
  async append(
    cache: Cache, past: number, embeddings: Float32Array, count: number,
  ): Promise<{ logits: Float32Array; cache: Cache }> {
    const { Tensor: T } = this.ort;
    const whole = (values: number[], sizes: number[]): Tensor => new T("int64", BigInt64Array.from(values, BigInt), sizes);
    const total = past + count;
    const feeds: Record<string, Tensor> = {
      inputs_embeds: new T("float32", embeddings, [1, count, embeddings.length / count]),
      attention_mask: whole(new Array<number>(total).fill(1), [1, total]),
      ...cache,
    };
    const wanted = this.decoder.inputNames;
    if (wanted.includes("position_ids")) {
      feeds["position_ids"] = whole(Array.from({ length: count }, (_, at) => past + at), [1, count]);
    }
    if (wanted.includes("num_logits_to_keep")) feeds["num_logits_to_keep"] = whole([1], []);
    const { logits: found, ...present } = await this.decoder.run(feeds);
    const all = floats(found);
    const vocab = found?.dims.at(-1) ?? 0;
    const next = Object.entries(present).map(([name, value]) => [name.replace("present.", "past_key_values."), value]);
    return { logits: all.subarray(all.length - vocab), cache: Object.fromEntries(next) as Cache };
  }

  async close(): Promise<void> {
    for (const session of [this.vision, this.embedding, this.decoder]) await session.release();
  }
}

function floats(tensor: Tensor | undefined): Float32Array {
  const data = tensor?.data;
  if (data instanceof Float32Array) return data;
  throw new Error(`the model gave ${tensor?.type ?? "nothing"} where numbers were expected`);
}
