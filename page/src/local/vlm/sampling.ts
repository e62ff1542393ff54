/**
 * How the next token is chosen: galago/vlm/sampling.py, whose options these are.
 *
 * Drawn numbers are another generator's, so a seed draws the same reply again here, but not Python's.
 */

export interface SamplingOptions {
  temperature: number; // 0 takes the likeliest token
  topP: number;
  topK: number; // 0 leaves it out
  minP: number;
  repetitionPenalty: number; // of the reply, not of the prompt; 1 leaves it out
  seed: number | null;
  maxTokens: number;
  stop: readonly string[];
}

export const GREEDY: SamplingOptions = {
  temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, seed: null, maxTokens: 512, stop: [],
};

export type Sampler = (logits: Float32Array) => number;

/** It remembers what it chose, for the penalty: make one for each reply. */
export function makeSampler(options: SamplingOptions): Sampler {
  const choose = options.temperature === 0 ? likeliest : drawing(options);
  const penalty = options.repetitionPenalty;
  if (penalty === 1) return choose;
  const said = new Set<number>();
  return (logits) => {
    const changed = logits.slice();
    for (const id of said) {
      const logit = logits[id]!;
      changed[id] = logit > 0 ? logit / penalty : logit * penalty;
    }
    const chosen = choose(changed);
    said.add(chosen);
    return chosen;
  };
}

/** The first of the largest. Throws for what isn't a number. */
function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > logits[best]!) best = id;
    if (Number.isNaN(logit)) throw notANumber();
  }
  if (!Number.isFinite(logits[best])) throw notANumber();
  return best;
}

const notANumber = (): Error => new Error("the model computed something that is not a number");

function drawing(options: SamplingOptions): Sampler {
  const random = options.seed === null ? Math.random : seeded(options.seed);
  return (logits) => {
    const peak = logits[likeliest(logits)]!;
    const weights = Float64Array.from(logits, (logit) => Math.exp((logit - peak) / options.temperature));
    const ids = candidates(weights, options);
    const drawn = random() * ids.reduce((sum, id) => sum + weights[id]!, 0);
    let sum = 0;
    for (const id of ids) {
      sum += weights[id]!;
      if (drawn < sum) return id;
    }
    return ids.findLast((id) => weights[id]! > 0)!; // rounded up to all of it
  };
}

/** Ids of what may be drawn: of the k likeliest, of these top-p, of these min-p; the largest weight is 1. */
function candidates(weights: Float64Array, { topK, topP, minP }: SamplingOptions): number[] {
  let ids = [...weights.keys()];
  if (topP < 1 || (topK > 0 && topK < ids.length)) {
    ids = ids.filter((id) => weights[id]! > 0).sort((a, b) => weights[b]! - weights[a]! || a - b);
    if (topK > 0) ids.length = Math.min(topK, ids.length);
  }
  if (topP < 1) {
    const wanted = topP * ids.reduce((sum, id) => sum + weights[id]!, 0);
    let sum = 0;
    ids.length = ids.findIndex((id) => (sum += weights[id]!) >= wanted) + 1 || ids.length;
  }
  return minP > 0 ? ids.filter((id) => weights[id]! >= minP) : ids;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How likely what was chosen was, at temperature 1, whatever the sampling. */
export class Confidence {
  private sum = 0;
  private least = 0;
  private count = 0;

  add(logits: Float32Array, chosen: number): void {
    const mine = logits[chosen]!;
    let total = 0;
    let peak = -Infinity;
    for (const logit of logits) peak = Math.max(peak, logit - mine);
    for (const logit of logits) total += Math.exp(logit - mine - peak);
    const logProbability = -peak - Math.log(total);
    this.sum += logProbability;
    this.least = Math.min(this.least, logProbability);
    this.count++;
  }

  /** Natural logarithms of the geometric mean and of the least probable choice: Stats.signals. */
  get signals(): [number, number] {
    const floor = Math.log(1e-12);
    return [Math.max(this.count ? this.sum / this.count : 0, floor), Math.max(this.least, floor)];
  }
}
