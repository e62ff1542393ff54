/** A FastVLM in the worker: its files, its device, the pictures it has looked at, one question at a time. */

import { Refused } from "../../engine";
import { Taught } from "../clip/doubt";
import { decode, fromDataUrl } from "../decode";
import { type OnBytes, readFiles } from "../files";
import { type Device, type Graph, runtime } from "../ort";
import { normalise, type Pixels, square } from "../pixels";
import type { Site, SiteModel } from "../site";
import { choose } from "./device";
import { type Graphs, Network } from "./network";
import { chatPieces, type Turn } from "./prompt";
import { GREEDY, type SamplingOptions } from "./sampling";
import { type Encoded, type Said, Speaker } from "./speaker";
import { Tokenizer, type TokenizerJson } from "./tokens";

/** Where the page is, what it holds, and what is asked of the device. */
export interface Setup {
  base: string;
  site: Site;
  model: SiteModel;
  threads: number;
  asked: Device | null; // by name, for tests
  known: Device | null; // that a trial in this browser found quicker
}

/** A picture: the data URL of a file, or a camera's pixels. */
export type Shown = string | Pixels;

export interface Reply extends Said {
  doubted: boolean;
  looked: number; // seconds that looking at pictures took
}

const PICTURES = 4; // remembered; a conversation has one
const STEMS = { vision: "vision_encoder", embedding: "embed_tokens", decoder: "decoder_model_merged" } as const;
const SUFFIX: Record<string, string> = { fp32: "", q8: "_quantized" };

export class Vlm {
  private readonly known = new Map<string, Encoded>(); // by data URL
  private count = 0;
  lost = false; // the graphics processor went away

  private constructor(
    private readonly setup: Setup,
    readonly device: Device,
    readonly open: boolean, // whether another device may be quicker
    private readonly network: Network,
    private readonly speaker: Speaker,
    private readonly tokenizer: Tokenizer,
    private readonly taught: Taught | null,
  ) {}

  static async load(setup: Setup, onBytes: OnBytes, device?: Device): Promise<Vlm> {
    const { base, site, model, threads, asked, known } = setup;
    const choice = device ? { device, open: false } : await choose(model, asked, known);
    if (typeof choice === "string") throw new Refused(choice);
    const paths = model.files.map(({ path }) => path).filter((path) => !path.endsWith(".md"));
    const read = await readFiles(base, model, paths, onBytes);
    const files = new Map(paths.map((path, at) => [path, read[at]!]));
    const ort = await runtime(choice.device, base, site, threads, onBytes);
    const network = await Network.open(ort, choice.device, graphsOf(files, model.dtype));
    const config = json<{ eos_token_id: number | number[]; max_position_embeddings: number }>(files, "config.json");
    const tokenizer = new Tokenizer(json<TokenizerJson>(files, "tokenizer.json"), json(files, "tokenizer_config.json"));
    const named = ["<|im_end|>", "<|endoftext|>"].map((token) => tokenizer.id(token));
    const ends = new Set([config.eos_token_id, ...named].flat().filter((id) => id !== undefined));
    const speaker = new Speaker(network, tokenizer, ends, config.max_position_embeddings);
    const doubt = files.get("doubt.tensors");
    const vlm = new Vlm(setup, choice.device, choice.open, network, speaker, tokenizer, doubt ? new Taught(doubt) : null);
    if (choice.device === "webgpu") {
      const gone = async (): Promise<unknown> => ((await ort.env.webgpu.device) as { lost: Promise<unknown> }).lost;
      void gone().then(() => (vlm.lost = true));
    }
    return vlm;
  }

  /** The reply to a conversation; `onText` hears all of it so far. */
  async ask(
    turns: readonly Turn[],
    shown: readonly Shown[],
    onText: (text: string) => void,
    signal: AbortSignal,
    options: SamplingOptions = GREEDY,
  ): Promise<Reply> {
    const started = performance.now();
    const pictures: Encoded[] = [];
    for (const picture of shown) {
      pictures.push(await this.look(picture));
      signal.throwIfAborted();
    }
    const looked = (performance.now() - started) / 1000;
    let text = "";
    const pieces = chatPieces(this.tokenizer, turns);
    const said = await this.speaker.reply(pieces, pictures, options, (piece) => onText((text += piece)), signal);
    return { ...said, looked, doubted: this.doubts(pictures, said) };
  }

  /** Look at a picture once. */
  private async look(shown: Shown): Promise<Encoded> {
    const url = typeof shown === "string" ? shown : null;
    const known = url === null ? undefined : this.known.get(url);
    if (known) return known;
    const { image } = this.setup.model;
    const pixels = typeof shown === "string" ? await decode(fromDataUrl(shown)) : shown;
    const values = normalise(square(pixels, image), image);
    const features = await this.network.look(values, image.side);
    const hidden = features.length / (image.side / 64) ** 2;
    const encoded = { name: `picture ${this.count++}`, features, tokens: features.length / hidden };
    if (url !== null) {
      this.known.set(url, encoded);
      const [oldest] = this.known.keys();
      if (this.known.size > PICTURES) this.known.delete(oldest!);
    }
    return encoded;
  }

  /** Of several pictures the one that is known least counts. */
  private doubts(pictures: readonly Encoded[], { signals }: Said): boolean {
    const { taught } = this;
    return taught !== null && pictures.some(({ features, tokens }) => taught.doubts(taught.known(mean(features, tokens), signals)));
  }

  /** Seconds that a picture and the first token behind it take, the second time. */
  async timed(): Promise<number> {
    const { side } = this.setup.model.image;
    const pixels = { data: new Uint8ClampedArray(side * side * 4).fill(128), width: side, height: side };
    const turn: Turn = { role: "user", text: "?", pictures: 1 };
    const { signal } = new AbortController();
    let started = 0;
    for (let time = 0; time < 2; time++) {
      started = performance.now();
      await this.ask([turn], [pixels], () => {}, signal, { ...GREEDY, maxTokens: 1 });
    }
    return (performance.now() - started) / 1000;
  }

  /** Ids of a prompt, pictures as -1; for tests of equality. */
  ids(turns: readonly Turn[]): number[] {
    return chatPieces(this.tokenizer, turns).flatMap((piece) => (Array.isArray(piece) ? piece : [-1]));
  }

  close(): Promise<void> {
    return this.network.close();
  }
}

function mean(features: Float32Array, tokens: number): Float32Array {
  const hidden = features.length / tokens;
  const sums = new Float64Array(hidden);
  features.forEach((value, at) => (sums[at % hidden] = sums[at % hidden]! + value));
  return Float32Array.from(sums, (sum) => sum / tokens);
}

function json<T extends object>(files: ReadonlyMap<string, Uint8Array>, path: string): T {
  const bytes = files.get(path);
  if (!bytes) throw new Refused(`the model has no ${path}; export it again`);
  return JSON.parse(new TextDecoder().decode(bytes)) as T;
}

function graphsOf(files: ReadonlyMap<string, Uint8Array>, dtype: string): Graphs {
  const graph = (stem: string): Graph => {
    const name = `${stem}${SUFFIX[dtype] ?? `_${dtype}`}.onnx`;
    const bytes = files.get(`onnx/${name}`);
    if (!bytes) throw new Refused(`the model has no onnx/${name}; export it again`);
    const external = [...files].filter(([path]) => path.startsWith(`onnx/${name}_data`));
    return { bytes, external: external.map(([path, data]) => ({ path: path.slice("onnx/".length), data })) };
  };
  return { vision: graph(STEMS.vision), embedding: graph(STEMS.embedding), decoder: graph(STEMS.decoder) };
}
