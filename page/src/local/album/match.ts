/** Whether a photo shows what was asked for, or is only the nearest: galago/album/match.py says why so. */

import type { Rows } from "./rows";

const FLOOR = 1.5; // below this a photo shows everyday things better than what was asked for
const SHARE = 0.9; // a match is stronger than this share of the phrases that no photo shows
export const ALIKE = 0.6; // from this likeness on two pictures show the same sort of thing
export const NEAR = 0.96; // from this cosine on they are nearly the same picture
const CLOSE = 3; // a match is close from these on
const VERY_ALIKE = 0.8;

/** Everyday phrases by the album's model: unit rows. */
export interface Background {
  shown: Rows;
  absent: Rows;
}

/** What photos show, and what none does: galago/data/background.txt. */
export function phrasesOf(file: string): { shown: string[]; absent: string[] } {
  const groups: string[][] = [];
  for (const line of file.split("\n")) {
    if (line.startsWith("#")) groups.push([]);
    else if (line) groups.at(-1)?.push(line);
  }
  const [shown = [], absent = []] = groups.filter((group) => group.length);
  return { shown, absent };
}

/** Middle and spread of numbers. */
export function spread(values: Float32Array): { mean: number; deviation: number } {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return { mean, deviation: Math.max(Math.sqrt(squares / values.length), 1e-6) };
}

/** How far a photo's score stands above its others, in deviations. */
export function strength(score: number, others: Float32Array): number {
  const { mean, deviation } = spread(others);
  return (score - mean) / deviation;
}

/** How alike two pictures are in what they show, of their scores for everyday things: -1 to 1. */
export function likeness(one: Float32Array, other: Float32Array): number {
  const [a, b] = [spread(one).mean, spread(other).mean];
  let both = 0;
  let first = 0;
  let second = 0;
  for (let i = 0; i < one.length; i++) {
    const [x, y] = [one[i]! - a, other[i]! - b];
    both += x * y;
    first += x * x;
    second += y * y;
  }
  return both / (Math.max(Math.sqrt(first), 1e-6) * Math.max(Math.sqrt(second), 1e-6));
}

/** Raise the highest strength of each absent phrase by one more photo. */
export function raise(reach: Float32Array, photo: Float32Array, background: Background): void {
  const others = background.shown.scores(photo);
  const { mean, deviation } = spread(others);
  background.absent.scores(photo).forEach((score, at) => {
    reach[at] = Math.max(reach[at]!, (score - mean) / deviation);
  });
}

/** From which strength on a photo matches words; `reach`: the album's, of each absent phrase. */
export function wordsCut(reach: Float32Array): number {
  if (!reach.length || !reach.every(Number.isFinite)) return FLOOR; // nothing has been indexed
  const sorted = reach.slice().sort();
  const place = SHARE * (sorted.length - 1);
  const below = Math.floor(place);
  const next = Math.min(below + 1, sorted.length - 1);
  return Math.max(FLOOR, sorted[below]! + (place - below) * (sorted[next]! - sorted[below]!));
}

/** Of a match: whether it is a close one. No words match with a strength of 1 or less. */
export const isClose = (strength: number): boolean => strength >= (strength > 1 ? CLOSE : VERY_ALIKE);
