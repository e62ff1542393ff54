/** A text as the tokenizer sees it: galago/text/clip_tokens.clean, which does as open_clip and ftfy do. */

type Entities = ReadonlyMap<string, string>;

const PASSES = 32; // "&amp;amp;amp;..." loses one layer a pass: a long one must not take for ever
const ENTITY = /&#?[0-9A-Za-z]{1,24};/g;
const REFERENCE = /&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;
const TERMINAL = /\x1b\[[\d;]*[a-zA-Z]/g;
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
const MOST_MARKS = 30; // on one letter: NFC sorts them
const JOINER = "\u034f"; // which ends a run
const MARKS = /[^\p{L}\p{N}_\s\x00-\u02ff]{31,}/gu;
const MARK = /\p{Mn}/u;
const LIGATURES = "ĲĳǱǲǳǄǅǆǇǈǉǊǋǌﬀﬁﬂﬃﬄﬆ";
const WINDOWS = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"; // 0x80 to 0x9f in Windows-1252

/** As str.split() has blanks. */
const BLANKS = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

/**
 * Mended, HTML entities resolved, blanks folded, lower case.
 *
 * Marks are told by their category, not by their combining class: another run of more than 30 of them
 * may be broken up elsewhere than Python does.
 */
export async function clean(text: string): Promise<string> {
  const entities: Entities = text.includes("&") || text.includes("＆") ? (await import("./entities")).ENTITIES : new Map();
  const opening = text.indexOf("<");
  const plain = opening < 0 ? text.length : text.lastIndexOf("\n", opening) + 1;
  const mended = mend(text.slice(0, plain), entities) + mend(text.slice(plain), null);
  const whole = unescape(unescape(mended, entities), entities);
  return whole.split(BLANKS).filter(Boolean).join(" ").toLowerCase();
}

/** Repeated until nothing changes, as one repair can make room for another. */
function mend(text: string, entities: Entities | null): string {
  for (let pass = 0; pass < PASSES; pass++) {
    const before = text;
    if (entities) text = text.replace(ENTITY, (entity) => resolve(entity, entities));
    text = [...text].map(plainer).join("").toWellFormed();
    text = text.replace(TERMINAL, "").replace(CONTROLS, "");
    text = text.replace(MARKS, loosened).normalize("NFC");
    if (text === before) break;
  }
  return text;
}

/** No more marks in a row than anybody writes. */
function loosened(run: string): string {
  let out = "";
  let marks = 0;
  for (const one of run) {
    marks = MARK.test(one) && one !== JOINER ? marks + 1 : 0;
    if (marks > MOST_MARKS) {
      out += JOINER;
      marks = 1;
    }
    out += one;
  }
  return out;
}

/** The characters of one entity; what is not known stays. */
function resolve(entity: string, entities: Entities): string {
  if (entity.startsWith("&#")) {
    const found = unescape(entity, entities);
    return found.includes(";") ? entity : found;
  }
  const name = entity.slice(1);
  const known = entities.get(name);
  if (known !== undefined) return known;
  // "P&EACUTE;REZ": names written in capitals along with the word around them.
  const small = entities.get(name.toLowerCase());
  return name === name.toUpperCase() && small !== undefined && unescape(entity, entities) === entity
    ? small.toUpperCase()
    : entity;
}

/** As Python's html.unescape, by HTML 5's rules. */
function unescape(text: string, entities: Entities): string {
  return text.replace(REFERENCE, (whole, name: string) => {
    if (name.startsWith("#")) return numbered(name);
    const known = entities.get(name);
    if (known !== undefined) return known;
    const letters = [...name];
    for (let length = letters.length - 1; length > 1; length--) {
      const start = entities.get(letters.slice(0, length).join(""));
      if (start !== undefined) return start + letters.slice(length).join("");
    }
    return whole;
  });
}

function numbered(reference: string): string {
  const digits = reference.replace(/;$/, "");
  const code = /^#x/i.test(digits) ? parseInt(digits.slice(2), 16) : parseInt(digits.slice(1), 10);
  if (code === 0) return "\ufffd";
  if (code === 13) return "\r";
  if (code >= 0x80 && code < 0xa0) return WINDOWS[code - 0x80] ?? "";
  if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return "\ufffd";
  const control = (code < 0x20 && ![9, 10, 12].includes(code)) || code === 0x7f;
  const never = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
  return control || never ? "" : String.fromCodePoint(code);
}

const FULL_WIDTH = /[\uff01-\uffef]/;

/** What a character stands for, where that is plainer. */
function plainer(one: string): string {
  const code = one.codePointAt(0) ?? 0;
  if (code < 0x80 || code > 0xffff) return one;
  if (code < 0xa0) {
    const windows = WINDOWS[code - 0x80] ?? one;
    return windows === one ? one : plainer(windows);
  }
  if (code === 0x3000) return " ";
  if (one === "ŉ") return "'n";
  if (one === "ﬅ") return "ſt";
  if (code === 0x02bc || (code >= 0x2018 && code <= 0x201b)) return "'";
  if (code >= 0x201c && code <= 0x201f) return '"';
  if (LIGATURES.includes(one) || FULL_WIDTH.test(one)) return one.normalize("NFKC");
  return one;
}
