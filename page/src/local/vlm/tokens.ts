/** Text to ids and back, as galago/text/tokens.py: what people type is never read as control tokens. */

import { Tokenizer as Backend } from "@huggingface/tokenizers";

/** The bytes that byte-level BPE writes letters for: itself where it can be seen, else from 256 on. */
function byteLetters(): Map<string, number> {
  const seen = (byte: number): boolean =>
    (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte < 0xad) || byte >= 0xae;
  const letters = new Map<string, number>();
  let other = 256;
  for (let byte = 0; byte < 256; byte++) letters.set(String.fromCharCode(seen(byte) ? byte : other++), byte);
  return letters;
}

const BYTES = byteLetters();

interface Added {
  id: number;
  content: string;
  special: boolean;
}

export interface TokenizerJson {
  added_tokens: Added[];
}

export class Tokenizer {
  private readonly plain: Backend; // knows no control tokens, so that they stay text
  private readonly added: Map<number, Added>;
  private readonly ids: Map<string, number>;
  private readonly utf8 = new TextEncoder();

  /** Of tokenizer.json and tokenizer_config.json. */
  constructor(json: TokenizerJson, config: object) {
    const added = json.added_tokens;
    this.added = new Map(added.map((token) => [token.id, token]));
    this.ids = new Map(added.map(({ content, id }) => [content, id]));
    this.plain = new Backend({ ...json, added_tokens: added.filter(({ special }) => !special) }, config);
  }

  /** Ids of a text, without control tokens. */
  encode(text: string): number[] {
    if (!text) return [];
    // Half characters have no bytes; Python writes a question mark for each.
    return this.plain.encode(text.replace(/\p{Surrogate}/gu, "?"), { add_special_tokens: false }).ids;
  }

  /** The id of a whole token, control tokens included. */
  id(token: string): number | undefined {
    return this.ids.get(token) ?? this.plain.token_to_id(token);
  }

  /** The bytes of a token, perhaps part of a character; none of a control token or an unknown id. */
  bytes(id: number): Uint8Array {
    const added = this.added.get(id);
    if (added) return this.utf8.encode(added.special ? "" : added.content);
    const token = this.plain.id_to_token(id) ?? "";
    const bytes = [...token].map((letter) => BYTES.get(letter));
    return bytes.includes(undefined) ? this.utf8.encode(token) : new Uint8Array(bytes as number[]);
  }
}

/** Ids in, text out: never half a character, never part of a stop string. */
export class TextStream {
  private readonly utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  private held = ""; // could be the beginning of a stop string
  stopped = false; // a stop string was met; what follows is dropped

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly stop: readonly string[] = [],
  ) {}

  /** The text that became certain with this token; often empty. */
  push(id: number): string {
    return this.stopped ? "" : this.release(this.utf8.decode(this.tokenizer.bytes(id), { stream: true }));
  }

  /** What was held back and turned out to be text. */
  finish(): string {
    if (this.stopped) return "";
    const out = this.release(this.utf8.decode());
    return this.stopped ? out : out + this.held;
  }

  private release(piece: string): string {
    const text = this.held + piece;
    // The first to be complete, however the text was cut up.
    let [end, cut] = [Infinity, -1];
    for (const stop of this.stop) {
      const at = text.indexOf(stop);
      if (at < 0 || at + stop.length > end) continue;
      cut = at + stop.length < end ? at : Math.min(cut, at);
      end = at + stop.length;
    }
    if (cut >= 0) {
      this.stopped = true;
      return text.slice(0, cut);
    }
    const kept = text.length - Math.max(0, ...this.stop.map((stop) => overlap(text, stop)));
    this.held = text.slice(kept);
    return text.slice(0, kept);
  }
}

/** Length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
