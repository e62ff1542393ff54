/** What a query finds: as galago/server/search_routes.py and galago/album answer it. */

import { type Found, type Hit, type Query, Refused } from "../../engine";
import type { Part, Ranked } from "./ranking";
import { compared, type View } from "./ranking";
import type { Shelf } from "./shelf";
import type { Photo } from "./store";
import { type Times, times, written } from "./when";

const NO_MATCH = "no photo matches; these are merely the nearest";
const NONE_THERE = "no photo from there or then was found";
const NAMED = 5; // words in a note

/** What the words of a query came to. */
export interface Spoken {
  parts: Part[];
  notes: string[];
  strange: string[];
  instead: string | null; // what is searched for in the place of what was typed
}

/** Refused for what asks for nothing, or for what can't be had here. */
export function check({ text, image, minus, folder, since, until, text_only }: Query): void {
  if (text_only) {
    throw new Refused("this page reads no text in photos, so it can't look for words that stand there; galago serve can");
  }
  const filtered = folder !== undefined || since !== undefined || until !== undefined;
  if (!text?.trim() && !image && (minus?.trim() || !filtered)) {
    throw new Refused("say what to look for: words or a picture; or folder, since or until");
  }
}

/** Photos by the parts of a query, or the newest where it has none. */
export async function find(shelf: Shelf, view: View, query: Query, spoken: Spoken, model: string, knows: string, signal: AbortSignal): Promise<Found> {
  const passes = filterOf(shelf, query);
  const k = query.k ?? 12;
  const counts = passes && ((at: number): boolean => passes(shelf.photos[at]!));
  const found: Ranked[] | number[] = spoken.parts.length
    ? await compared(view, spoken.parts, k, counts, signal)
    : newest(shelf.photos, passes);
  const hits: Hit[] = [];
  const seen = new Set<number>();
  for (const one of found) {
    if (hits.length === k) break;
    const ranked = typeof one === "number" ? { at: one, score: null, match: true, close: false } : one;
    if (seen.has(ranked.at)) continue;
    const same = shelf.sameAs(ranked.at);
    same.forEach((at) => seen.add(at));
    hits.push(hit(shelf, ranked, same, passes));
  }
  const filtered = passes !== null;
  const matched = hits.some(({ match }) => match);
  const notes = [...spoken.notes, strangeNote(model, spoken.strange, knows)];
  if (!hits.length) notes.push(filtered ? NONE_THERE : NO_MATCH);
  else if (!matched) notes.push(NO_MATCH);
  return {
    hits,
    note: notes.filter(Boolean).join("; ") || null,
    searched_for: spoken.instead,
    strange: spoken.strange,
  };
}

/** A content once: by the first of its paths that pass. */
function hit(shelf: Shelf, ranked: { at: number; score: number | null; match: boolean; close: boolean }, same: number[], passes: ((photo: Photo) => boolean) | null): Hit {
  const all = same.map((at) => shelf.photos[at]!).sort((one, other) => (one.path < other.path ? -1 : 1));
  const photo = all.find((one) => passes === null || passes(one)) ?? shelf.photos[ranked.at]!;
  return {
    score: ranked.score === null ? null : Number(ranked.score.toFixed(5)),
    match: ranked.match,
    close: ranked.close,
    name: photo.path.slice(photo.path.lastIndexOf("/") + 1),
    path: photo.path,
    id: photo.id,
    copies: all.length - 1,
    taken: dateOf(photo),
    taken_by: photo.taken ? "camera" : "file",
  };
}

const dateOf = ({ taken, mtime }: Photo): string => taken || written(new Date(mtime));

/** Which photos a folder and dates let through; null when none were asked for. */
function filterOf(shelf: Shelf, { folder, since, until }: Query): ((photo: Photo) => boolean) | null {
  if (folder === undefined && since === undefined && until === undefined) return null;
  const asked: Times | string = times(since, until);
  if (typeof asked === "string") throw new Refused(asked);
  const start = folder === undefined ? "" : `${folder.replace(/\/+$/, "")}/`;
  if (start && !shelf.photos.some(({ path }) => path.startsWith(start))) {
    throw new Refused(`the album has no photo in ${folder}`);
  }
  return (photo) => {
    const date = dateOf(photo);
    const inTime = (asked.since === null || date >= asked.since) && (asked.until === null || date < asked.until);
    return inTime && photo.path.startsWith(start);
  };
}

/** Rows that pass, the newest first; of one second by their paths. */
function newest(photos: readonly Photo[], passes: ((photo: Photo) => boolean) | null): number[] {
  const dated = photos.map((photo, at) => ({ at, path: photo.path, date: dateOf(photo) }));
  const left = dated.filter(({ at }) => passes === null || passes(photos[at]!));
  left.sort((one, other) => (one.date === other.date ? (one.path < other.path ? -1 : 1) : one.date < other.date ? 1 : -1));
  return left.map(({ at }) => at);
}

/** What is said of words that name nothing a model was taught: galago/catalog.py. */
export function strangeNote(model: string, words: readonly string[], knows: string): string | null {
  if (!words.length) return null;
  const shown = words.map((word) => `“${word.length <= 40 ? word : `${word.slice(0, 39)}…`}”`);
  const several = `${shown.slice(0, NAMED).join(", ")} and ${shown.length - NAMED} more`;
  const named = shown.length > NAMED ? several : shown.join(", ");
  return `${model} was never taught ${named}${knows ? ` (it knows ${knows})` : ""}: what fits there is chance`;
}
