/** Photos in the order in which they answer a query: galago/album/ranking.py, without texts. */

import { ALIKE, type Background, isClose, likeness, NEAR, strength, wordsCut } from "./match";
import type { Rows } from "./rows";

const POOL = 1000; // photos judged at least: some attract every query and must not crowd out the matches
const SAMPLE = 512; // photos that stand for the whole album where its average is asked for
const MINUS = 0.5; // what is not wanted weighs half

/** One part of a query: a unit vector of words or of a picture, wanted or not. */
export interface Part {
  vector: Float32Array;
  kind: "words" | "picture";
  wanted: boolean;
}

/** An album at one moment. */
export interface View {
  rows: Rows;
  background: Background;
  reach: Float32Array;
}

export interface Ranked {
  at: number; // the row
  score: number;
  match: boolean;
  close: boolean;
}

/** The best first: matches, then the nearest. `counts`: which rows do. */
export async function compared(
  view: View, parts: readonly Part[], k: number, counts: ((at: number) => boolean) | null, signal?: AbortSignal,
): Promise<Ranked[]> {
  const wanted = Math.max(20 * k, POOL);
  const query = queryOf(view, parts);
  const { places, scores } = await view.rows.nearest(query, wanted, counts, signal);
  const cut = wordsCut(view.reach);
  const pictures = parts.filter(({ kind, wanted }) => kind === "picture" && wanted);
  const shown = new Map(pictures.map((part) => [part, view.background.shown.scores(part.vector)]));
  const found = places.map((at) => {
    const { strongest, match } = judged(view, parts, at, cut, shown);
    return { at, score: scores[at]!, match, close: match && isClose(strongest) };
  });
  return [...found.filter(({ match }) => match), ...found.filter(({ match }) => !match)];
}

/**
 * One vector for all parts. Words and pictures lie in two regions of the space, so parts are taken
 * relative to the middle of their own, then brought to one length.
 */
function queryOf(view: View, parts: readonly Part[]): Float32Array {
  const [only, ...others] = parts;
  if (only && !others.length) return only.vector;
  const middle = { words: view.background.shown.mean(), picture: view.rows.mean(sample(view.rows.count)) };
  const total = new Float32Array(view.rows.dim);
  for (const { vector, kind, wanted } of parts) {
    const apart = vector.map((value, i) => value - middle[kind][i]!);
    const share = (wanted ? 1 : -MINUS) / Math.max(Math.hypot(...apart), 1e-6);
    apart.forEach((value, i) => (total[i]! += share * value));
  }
  const length = Math.max(Math.hypot(...total), 1e-6);
  return total.map((value) => value / length);
}

/** Places evenly spread over the album. */
function sample(count: number): number[] {
  const step = Math.max(1, Math.floor(count / SAMPLE));
  return Array.from({ length: Math.min(SAMPLE, Math.ceil(count / step)) }, (_, at) => at * step);
}

/** A photo matches when one wanted part makes it one. */
function judged(
  { rows, background }: View, parts: readonly Part[], at: number, cut: number, shown: Map<Part, Float32Array>,
): { strongest: number; match: boolean } {
  const photo = rows.row(at);
  const others = background.shown.scores(photo);
  let strongest = -Infinity;
  let match = false;
  for (const part of parts) {
    if (!part.wanted) continue;
    const score = rows.score(at, part.vector);
    const own = part.kind === "words" ? strength(score, others) : likeness(others, shown.get(part)!);
    match ||= part.kind === "words" ? own >= cut : own >= ALIKE || score >= NEAR;
    strongest = Math.max(strongest, own);
  }
  return { strongest, match };
}
