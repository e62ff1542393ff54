/** What is searched for: a query as it was typed, or in English: galago/text/queries.py. */

import { languageNote, needsEnglish } from "../clip/language";
import type { Lexicon } from "./chinese";

const SHOWN = 5; // parts that are told as not understood
const LETTERS = 40; // of each

/** `typed` by a person, `text` for the model, `notes` for people. */
export interface Asked {
  typed: string;
  text: string;
  notes: string[];
}

/** A query for a model of this name; `lexicon` is null where there is no list of Chinese words. */
export function read(typed: string, model: string, lexicon: Lexicon | null): Asked {
  if (!needsEnglish(typed)) return { typed, text: typed, notes: [] };
  const found = lexicon?.wordByWord(typed);
  if (!found) return asTyped(typed, model);
  const parts = found.unknown.slice(0, SHOWN).map((part) => `“${visible([...part].slice(0, LETTERS).join(""))}”`);
  const notes = parts.length ? [`not understood and left out of the query: ${parts.join(", ")}`] : [];
  return { typed, text: found.text, notes };
}

/** A query as it is, with a note where the model can't read it. */
export function asTyped(typed: string, model: string): Asked {
  const note = languageNote([typed], model);
  return { typed, text: typed, notes: note === null ? [] : [note] };
}

/** What is searched for in the place of what was typed, "a red dress − people"; null where that is the same. */
export function searchedFor(wanted: readonly Asked[], unwanted: readonly Asked[]): string | null {
  if ([...wanted, ...unwanted].every(({ typed, text }) => typed === text)) return null;
  const plus = wanted.map(({ text }) => text).join(" + ");
  return [plus, ...unwanted.map(({ text }) => `− ${text}`)].filter(Boolean).join(" ");
}

/** What turns the order of letters round, written out: galago/text/visible.py. */
const visible = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu, (one) => {
    const code = one.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
