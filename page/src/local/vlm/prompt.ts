/** The chat template: turns of text and pictures -> ids and the places of pictures, as galago/text/chat.py. */

import type { Tokenizer } from "./tokens";

const START = "<|im_start|>";
const END = "<|im_end|>";
const SYSTEM = "You are a helpful assistant.";

/** One turn; pictures stand before the text, as FastVLM was trained. */
export interface Turn {
  role: "user" | "assistant";
  text: string;
  pictures: number;
}

/** Ids, or the number of the picture whose features stand here. */
export type Piece = number[] | { picture: number };

/** What a chat is made of, ready for the reply. */
export function chatPieces(tokenizer: Tokenizer, turns: readonly Turn[]): Piece[] {
  const out = new Pieces(tokenizer);
  out.control(START).text(`system\n${SYSTEM}`).control(END).text("\n");
  let picture = 0;
  for (const { role, text, pictures } of turns) {
    out.control(START).text(`${role}\n`);
    for (let n = 0; n < pictures; n++) out.picture(picture++).text("\n");
    out.text(text).control(END).text("\n");
  }
  return out.control(START).text("assistant\n").done();
}

/** Neighbouring texts are one text; controls are ids; pictures part the ids. */
class Pieces {
  private readonly pieces: Piece[] = [];
  private ids: number[] = [];
  private words = "";

  constructor(private readonly tokenizer: Tokenizer) {}

  text(text: string): this {
    this.words += text;
    return this;
  }

  control(token: string): this {
    this.tokenise();
    const id = this.tokenizer.id(token);
    if (id === undefined) throw new Error(`the tokenizer lacks ${token}, which the chat template needs`);
    this.ids.push(id);
    return this;
  }

  picture(number: number): this {
    this.part();
    this.pieces.push({ picture: number });
    return this;
  }

  done(): Piece[] {
    this.part();
    return this.pieces;
  }

  private tokenise(): void {
    if (this.words) this.ids.push(...this.tokenizer.encode(this.words));
    this.words = "";
  }

  private part(): void {
    this.tokenise();
    if (this.ids.length) this.pieces.push(this.ids);
    this.ids = [];
  }
}
