/** What a photo probably shows, in a word or two: galago/album/sights.py. */

import { spread } from "./match";
import type { Rows } from "./rows";

export const phrase = (word: string): string => `a photo of ${word}`;

const STRONG = 3; // deviations above the other words
const BESIDE = 0.5; // and so near to the best one
const MOST = 3;

export const wordsOf = (file: string): string[] => file.split("\n").filter((line) => line && !line.startsWith("#"));

/** Which of the words (rows) fit a photo: up to three places, best first; none where none stands out. */
export function fitting(photo: Float32Array, named: Rows): number[] {
  const scores = named.scores(photo);
  const { mean, deviation } = spread(scores);
  const strong = scores.map((score) => (score - mean) / deviation);
  const order = [...strong.keys()].sort((one, other) => strong[other]! - strong[one]! || one - other).slice(0, MOST);
  const cut = Math.max(STRONG, (strong[order[0] ?? 0] ?? 0) - BESIDE);
  return order.filter((at) => strong[at]! >= cut);
}
