/** The one way text is generated here, as galago/vlm/speaker.py: pieces of a prompt in, text out. */

import { Refused } from "../../engine";
import { Loop } from "./loops";
import type { Cache, Network } from "./network";
import type { Piece } from "./prompt";
import { Confidence, makeSampler, type SamplingOptions } from "./sampling";
import { TextStream, type Tokenizer } from "./tokens";

/** A picture as the language model sees it. */
export interface Encoded {
  name: string; // which no other picture of this model has
  features: Float32Array; // (tokens, hidden)
  tokens: number;
}

export interface Said {
  text: string;
  finish: "end" | "stop" | "length" | "repetition";
  tokens: number;
  seconds: number; // from the first token to the last
  signals: [number, number]; // how sure it was
}

type Key = number | string; // an id, or a picture and which of its tokens

/** Lets messages in, so that a reply can be called off; more often would only cost. */
const messages = (): Promise<void> =>
  new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(null);
  });

export class Speaker {
  private keys: Key[] = []; // of what the cache holds
  private cache: Cache;

  constructor(
    private readonly network: Network,
    private readonly tokenizer: Tokenizer,
    private readonly ends: ReadonlySet<number>,
    private readonly positions: number,
  ) {
    this.cache = network.emptyCache();
  }

  /** The reply to a prompt; `onPiece` hears the text as it becomes certain. */
  async reply(
    pieces: readonly Piece[],
    pictures: readonly Encoded[],
    options: SamplingOptions,
    onPiece: (text: string) => void,
    signal: AbortSignal,
  ): Promise<Said> {
    const keys = keysOf(pieces, pictures);
    if (keys.length >= this.positions) {
      throw new Refused(`the conversation is too long (${keys.length} positions): ${this.positions} fit, pictures and the answer included`);
    }
    const most = Math.min(options.maxTokens, this.positions - keys.length);
    const words = new Words(new TextStream(this.tokenizer, options.stop));
    const sampler = makeSampler(options);
    const sure = new Confidence();
    let text = "";
    const show = (piece: string): void => {
      if (!piece) return;
      text += piece;
      onPiece(piece);
    };
    let finish: Said["finish"] = "length";
    let [tokens, first, last] = [0, 0, 0];
    let logits = await this.feedPrompt(keys, pieces, pictures);
    while (tokens < most) {
      const id = sampler(logits);
      sure.add(logits, id);
      if (this.ends.has(id)) {
        finish = "end";
        break;
      }
      tokens++;
      last = performance.now();
      first ||= last;
      show(words.push(id));
      if (words.ended) break;
      await messages();
      signal.throwIfAborted();
      if (tokens < most) logits = await this.feed(await this.network.embed([id]), [id]);
    }
    show(words.finish());
    return { text, finish: words.ended ?? finish, tokens, seconds: (last - first) / 1000, signals: sure.signals };
  }

  /** Feed what the cache doesn't hold yet. One that holds something else is begun anew. */
  private async feedPrompt(
    keys: Key[], pieces: readonly Piece[], pictures: readonly Encoded[],
  ): Promise<Float32Array> {
    const known = this.keys.length;
    const goesOn = known < keys.length && this.keys.every((key, at) => key === keys[at]);
    if (!goesOn) {
      this.keys = [];
      this.cache = this.network.emptyCache();
    }
    const parts: Float32Array[] = [];
    let skip = this.keys.length;
    for (const piece of pieces) {
      const ids = Array.isArray(piece) ? piece : null;
      const picture = ids ? null : pictures[(piece as { picture: number }).picture]!;
      const length = ids ? ids.length : picture!.tokens;
      if (skip < length) {
        const hidden = picture ? picture.features.length / picture.tokens : 0;
        parts.push(picture ? picture.features.subarray(skip * hidden) : await this.network.embed(ids!.slice(skip)));
      }
      skip = Math.max(0, skip - length);
    }
    return this.feed(joined(parts), keys.slice(this.keys.length));
  }

  private async feed(embeddings: Float32Array, keys: readonly Key[]): Promise<Float32Array> {
    const before = this.keys;
    this.keys = [NaN]; // equal to nothing, should this fail half-way
    const { logits, cache } = await this.network.append(this.cache, before.length, embeddings, keys.length);
    this.cache = cache;
    this.keys = [...before, ...keys];
    return logits;
  }
}

/** Text held back while the reply may be going round in circles: shown when it comes out of them. */
class Words {
  private readonly loop = new Loop();
  private held = "";
  ended: "stop" | "repetition" | null = null;

  constructor(private readonly stream: TextStream) {}

  push(id: number): string {
    this.held += this.stream.push(id);
    if (this.stream.stopped) this.ended = "stop";
    this.loop.push(id);
    if (this.loop.suspected) {
      if (this.loop.endless) this.ended ??= "repetition";
      return "";
    }
    return this.release();
  }

  finish(): string {
    if (this.ended === "repetition") return "";
    this.held += this.stream.finish();
    if (this.stream.stopped) this.ended = "stop";
    return this.release();
  }

  private release(): string {
    const shown = this.held;
    this.held = "";
    return shown;
  }
}

function keysOf(pieces: readonly Piece[], pictures: readonly Encoded[]): Key[] {
  return pieces.flatMap<Key>((piece) => {
    if (Array.isArray(piece)) return piece;
    const { name, tokens } = pictures[piece.picture]!;
    return Array.from({ length: tokens }, (_, at) => `${name}:${at}`);
  });
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
