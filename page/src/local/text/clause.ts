/** The order of English for words of a Chinese clause: galago/text/chinese.py. */

export type Kind = "word" | "doing" | "of" | "place" | "at" | "with" | "count" | "holder" | "unknown";

export interface Token {
  kind: Kind;
  text: string;
}

const SEVERAL = ["group of", "row of", "bunch of", "pile of", "basket of"];
const ONE = new Set(["a", "1", "this", "that"]);

/** What describes, the thing, what it does, where. */
export function inEnglish(tokens: readonly Token[]): string {
  return new Clause(tokens).text;
}

class Clause {
  private readonly count: string[] = [];
  private readonly front: string[] = [];
  private thing: string[] = [];
  private readonly doing: string[] = [];
  private readonly where: string[] = [];
  private now: string[] = []; // since the last boundary
  private acts = false;
  private at = false;
  private many = false;

  constructor(tokens: readonly Token[]) {
    for (const token of tokens) this.take(token);
    if (this.at && this.now.length) this.place("at the");
    this.settle();
    if (this.many && this.thing.length) {
      const at = nounOf(this.thing);
      this.thing[at] = plural(this.thing[at] ?? "");
    }
  }

  get text(): string {
    return [...this.count, ...this.front, ...this.thing, ...this.doing, ...this.where].filter(Boolean).join(" ");
  }

  private take({ kind, text }: Token): void {
    if (kind === "word") this.now.push(text);
    else if (kind === "count") this.takeCount(text);
    else if (kind === "holder") this.hold(text);
    else if (kind === "doing" || (kind === "with" && !this.now.length && !this.where.length)) this.act(text);
    else if (kind === "with" && this.now.length) {
      this.thing.push(...this.now, text);
      this.now = [];
    } else if (kind === "place" && this.now.length) this.place(text);
    else if (kind === "at") {
      this.settle();
      this.at = true;
    } else if (kind === "of") this.describe();
  }

  /** Of the thing, unless something is counted that it has or does: a man with two dogs. */
  private takeCount(text: string): void {
    const counted = this.thing.length > 0 || this.now.length > 0 || this.acts || this.count.length > 0;
    (counted ? this.now : this.count).push(text);
    this.many ||= !(counted || ONE.has(text));
  }

  /** A cup of coffee, two cups of coffee, a group of people. */
  private hold(holder: string): void {
    if (this.now.length || this.thing.length || this.acts) this.now.push(holder);
    else if (SEVERAL.includes(holder)) {
      this.count.push(holder);
      this.many = true;
    } else {
      const [first = "", ...rest] = holder.split(" ");
      this.count.push(this.many ? [plural(first), ...rest].join(" ") : holder);
      this.many = false;
    }
  }

  private act(text: string): void {
    if (this.at && this.now.length) this.place("at the");
    else if (!this.at && this.now.length && !this.acts) {
      this.thing.push(...this.now);
      this.now = [];
    }
    this.at = false;
    this.now.push(text);
    this.acts = true;
  }

  private place(preposition: string): void {
    this.where.push([preposition, ...this.now].join(" "));
    [this.now, this.at, this.acts] = [[], false, false];
  }

  /** What stood before 的. */
  private describe(): void {
    if (this.at && this.now.length) this.place("at the");
    else if (this.acts) {
      this.doing.push([...this.thing, ...this.now].join(" "));
      this.thing = [];
    } else {
      this.front.push(...this.thing, ...this.now);
      this.thing = [];
    }
    [this.now, this.acts, this.at] = [[], false, false];
  }

  private settle(): void {
    if (this.acts) this.doing.push(this.now.join(" "));
    else this.thing.push(...this.now);
    [this.now, this.acts] = [[], false];
  }
}

/** Where the thing stands that a count belongs to. */
function nounOf(words: readonly string[]): number {
  const end = words.findIndex((word) => ["and", "or", "with"].includes(word));
  return Math.max(0, (end < 0 ? words.length : end) - 1);
}

const IRREGULAR = new Map(Object.entries({
  person: "people", child: "children", man: "men", woman: "women", mouse: "mice", foot: "feet", goose: "geese",
  tooth: "teeth", leaf: "leaves", knife: "knives", wolf: "wolves", shelf: "shelves",
}));
const SAME = new Set(["fish", "sheep", "deer", "people", "fruit", "food", "rice", "water", "grass"]);

function plural(words: string): string {
  const blank = words.lastIndexOf(" ");
  const [head, noun] = [words.slice(0, Math.max(0, blank)), words.slice(blank + 1)];
  if (SAME.has(noun) || (noun.endsWith("s") && !/(ss|us)$/.test(noun))) return words;
  const regular = /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : noun + (/(s|x|ch|sh)$/.test(noun) ? "es" : "s");
  return `${head} ${IRREGULAR.get(noun) ?? regular}`.trim();
}
