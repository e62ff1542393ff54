/** Text -> the ids that a MobileCLIP's text tower reads: galago/text/clip_tokens.py. */

import { Tokenizer } from "@huggingface/tokenizers";
import { clean } from "./clean";

const ENOUGH = 4096; // characters, of which 77 tokens nearly always are the first few hundred
const CUT = 16; // characters a token that are looked at of a longer text
// As the published pattern, which ignores case.
const WORDS = /<[sſ]tart_of_text>|<end_of_text>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}\u0345]+/gu;

// A byte's letter: the printable ones stand for themselves.
const LETTERS = (() => {
  let next = 0x100;
  const printable = (byte: number): boolean =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0xad) || byte > 0xad;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

/** Byte pairs by the model's own tokenizer.json; words and start and end as open_clip has them. */
export class ClipTokenizer {
  private readonly pairs: (words: string[]) => string[];
  private readonly idOf: (token: string) => number;
  private readonly start: number;
  private readonly end: number;

  /** `json`: what `galago export` wrote. */
  constructor(
    json: { added_tokens: { id: number; content: string }[] },
    readonly context: number,
  ) {
    const tokenizer = new Tokenizer(json, {});
    const { model } = tokenizer;
    if (model === null) throw new Error("tokenizer.json has no model");
    this.pairs = (words) => model.encode(words);
    this.idOf = (token) => model.tokens_to_ids.get(token) ?? 0;
    const [start, end] = ["<|startoftext|>", "<|endoftext|>"].map(
      (name) => json.added_tokens.find(({ content }) => content === name)?.id,
    );
    if (start === undefined || end === undefined) throw new Error("tokenizer.json has no start and end");
    [this.start, this.end] = [start, end];
  }

  /** Ids of a text, without start and end; no more than the first `most`. */
  async encode(text: string, most: number): Promise<number[]> {
    const letters = text.length > ENOUGH ? [...text] : [];
    if (letters.length > ENOUGH) {
      // Twice as many, so that the word where the text was cut is none of those returned.
      const ids = await this.all(letters.slice(0, Math.max(ENOUGH, CUT * most)).join(""));
      if (ids.length > 2 * most) return ids.slice(0, most);
    }
    return (await this.all(text)).slice(0, most);
  }

  /** A row of start, ids, end and zeros: (context,). A text that is too long is cut. */
  async row(text: string): Promise<BigInt64Array> {
    const row = new BigInt64Array(this.context);
    const ids = [this.start, ...(await this.encode(text, this.context - 2)), this.end];
    ids.forEach((id, at) => (row[at] = BigInt(id)));
    return row;
  }

  /** Whether the end of this text would be cut off. */
  async truncated(text: string): Promise<boolean> {
    return (await this.encode(text, this.context - 1)).length > this.context - 2;
  }

  private async all(text: string): Promise<number[]> {
    const ids: number[] = [];
    for (const [word] of (await clean(text)).matchAll(WORDS)) {
      if (word === "<start_of_text>") ids.push(this.start);
      else if (word === "<end_of_text>") ids.push(this.end);
      else {
        const letters = Array.from(new TextEncoder().encode(word), (byte) => LETTERS[byte]).join("");
        for (const token of this.pairs([letters])) ids.push(this.idOf(token));
      }
    }
    return ids;
  }
}
