/** A FastVLM in the worker: its files, its device, the pictures it has looked at, one question at a time. */

import { Refused } from "../../engine";
import { Taught } from "../clip/doubt";
import { decode, fromDataUrl } from "../decode";
import { type OnBytes, readFiles } from "../files";
import { type Device, type Graph, type Ort, runtime } from "../ort";
import { normalise, type Pixels, square } from "../pixels";
import type { Site, SiteModel } from "../site";
import { choose } from "./device";
import { STEMS } from "./layout";
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
  given: ReadonlyMap<string, Blob> | null; // its files, where the person named their folder
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

/** What is read of config.json and generation_config.json. */
interface Config {
  eos_token_id?: number | number[] | null;
  max_position_embeddings?: number;
  text_config?: Config;
}

const PICTURES = 4; // remembered; a conversation has one

export class Vlm {
  private readonly known = new Map<string, Encoded>(); // by data URL
  private count = 0;
  lost = false; // the graphics processor went away

  private constructor(
    private readonly setup: Setup,
    readonly device: Device,
    readonly open: boolean, // whether another device may be quicker
    private readonly gone: Promise<void>, // when the graphics processor goes away
    private readonly network: Network,
    private readonly speaker: Speaker,
    private readonly tokenizer: Tokenizer,
    private readonly taught: Taught | null,
  ) {}

  static async load(setup: Setup, onBytes: OnBytes, device?: Device): Promise<Vlm> {
    const { base, site, model, given, threads, asked, known } = setup;
    const choice = device ? { device, open: false } : await choose(model, asked, known);
    if (typeof choice === "string") throw new Refused(choice);
    const paths = model.files.map(({ path }) => path).filter((path) => !path.endsWith(".md"));
    const read = await readFiles(base, model, paths, onBytes, undefined, given);
    const files = new Map(paths.map((path, at) => [path, read[at]!]));
    const ort = await runtime(choice.device, base, site, threads, onBytes);
    const network = await Network.open(ort, choice.device, graphsOf(files));
    const { text_config: text, ...config } = json<Config>(files, "config.json");
    const generation = files.has("generation_config.json") ? json<Config>(files, "generation_config.json") : {};
    const tokenizer = new Tokenizer(json<TokenizerJson>(files, "tokenizer.json"), json(files, "tokenizer_config.json"));
    const named = ["<|im_end|>", "<|endoftext|>"].map((token) => tokenizer.id(token));
    const ids = [generation, config, text ?? {}].map((part) => part.eos_token_id ?? undefined);
    const ends = new Set([...ids, ...named].flat().filter((id) => id !== undefined));
    const positions = config.max_position_embeddings ?? text?.max_position_embeddings;
    if (positions === undefined) throw new Refused("the model's config.json has no max_position_embeddings; export it again");
    const speaker = new Speaker(network, tokenizer, ends, positions);
    const doubt = files.get("doubt.tensors");
    const gone = choice.device === "webgpu" ? lossOf(ort) : new Promise<void>(() => {});
    const vlm = new Vlm(setup, choice.device, choice.open, gone, network, speaker, tokenizer, doubt ? new Taught(doubt) : null);
    void gone.then(() => (vlm.lost = true));
    return vlm;
  }

  /** The reply to a conversation; `onText` hears all of it so far. Fails when the graphics processor goes. */
  ask(
    turns: readonly Turn[],
    shown: readonly Shown[],
    onText: (text: string) => void,
    signal: AbortSignal,
    options: SamplingOptions = GREEDY,
  ): Promise<Reply> {
    const hear = (text: string): void => {
      if (!this.lost) onText(text);
    };
    // What a lost device was asked for may never come back.
    return Promise.race([
      this.reply(turns, shown, hear, signal, options),
      this.gone.then(() => Promise.reject(new Error("the graphics processor went away"))),
    ]);
  }

  private async reply(
    turns: readonly Turn[],
    shown: readonly Shown[],
    onText: (text: string) => void,
    signal: AbortSignal,
    options: SamplingOptions,
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

  /** Seconds that a picture and the first token behind it take; the first time counts for nothing. */
  async timed(): Promise<number> {
    const { side } = this.setup.model.image;
    const pixels = { data: new Uint8ClampedArray(side * side * 4).fill(128), width: side, height: side };
    const turn: Turn = { role: "user", text: "?", pictures: 1 };
    const started = performance.now();
    await this.ask([turn], [pixels], () => {}, new AbortController().signal, { ...GREEDY, maxTokens: 1 });
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

/** Resolves when the device of the runtime's sessions is lost. */
async function lossOf(ort: Ort): Promise<void> {
  await ((await ort.env.webgpu.device) as { lost: Promise<unknown> }).lost;
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

/** Of each graph the files name one, in whichever dtype. */
function graphsOf(files: ReadonlyMap<string, Uint8Array>): Graphs {
  const graph = (stem: string): Graph => {
    const found = [...files].find(([path]) => path.startsWith(`onnx/${stem}`) && path.endsWith(".onnx"));
    if (!found) throw new Refused(`the model has no onnx/${stem}….onnx; export it again`);
    const [name, bytes] = found;
    const external = [...files].filter(([path]) => path.startsWith(`${name}_data`));
    return { bytes, external: external.map(([path, data]) => ({ path: path.slice("onnx/".length), data })) };
  };
  return { vision: graph(STEMS.vision), embedding: graph(STEMS.embedding), decoder: graph(STEMS.decoder) };
}
