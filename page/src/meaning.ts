/**
 * Has the meaning of a caption changed? Compared word by word, so that a live region or a voice says
 * what is new and stays silent while a model words the same sight in other ways.
 */

const LITTLE = new Set(
  ("a an the of is are was in on at by to and or with it its this that there which be being " +
    "image picture photo shows showing").split(" "),
);
const NUMBERS = "zero one two three four five six seven eight nine ten".split(" ");
const DENIALS = new Set("no not nothing none nobody without never isn't aren't".split(" "));
const REMEMBERED = 20_000; // ms
const ENOUGH = 0.5;

/** The words that carry meaning, lower-case; numbers as digits. */
export function contentWords(text: string): Set<string> {
  const words = new Set<string>();
  const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
  for (const { segment, isWordLike } of segmenter.segment(text.toLowerCase())) {
    if (!isWordLike || LITTLE.has(segment)) continue;
    const number = NUMBERS.indexOf(segment);
    words.add(number >= 0 ? String(number) : segment);
  }
  return words;
}

const only = (words: Set<string>, test: (word: string) => boolean): string =>
  [...words].filter(test).sort().join(" ");
const isNumber = (word: string): boolean => /^\d/.test(word);
const isDenial = (word: string): boolean => DENIALS.has(word);

/** Share of words that two captions have in common (Dice's coefficient), 0 to 1. */
export function overlap(a: Set<string>, b: Set<string>): number {
  if (a.size + b.size === 0) return 1;
  const shared = [...a].filter((word) => b.has(word)).length;
  return (2 * shared) / (a.size + b.size);
}

/** Remembers what was said and tells what is worth saying now. */
export class Meaning {
  private last: Set<string> | null = null;
  private readonly heard = new Map<string, number>(); // word -> when it was last said

  /** True, and remembered as said, when `text` tells something that the last texts did not. */
  isNew(text: string, now: number = Date.now()): boolean {
    const words = contentWords(text);
    if (this.last !== null && !this.differs(words, this.last, now)) return false;
    this.last = words;
    for (const word of words) this.heard.set(word, now);
    return true;
  }

  private differs(words: Set<string>, last: Set<string>, now: number): boolean {
    if (only(words, isNumber) !== only(last, isNumber)) return true;
    if (only(words, isDenial) !== only(last, isDenial)) return true;
    if (overlap(words, last) < ENOUGH) return true;
    const known = (word: string): boolean => now - (this.heard.get(word) ?? -Infinity) < REMEMBERED;
    return [...words].some((word) => !last.has(word) && !known(word));
  }

  forget(): void {
    this.last = null;
    this.heard.clear();
  }
}
