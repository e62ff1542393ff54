/** Unit vectors one behind the other, and exact comparison with all of them. */

const BLOCK = 20_000; // rows between two breaths of the page

export class Rows {
  private data: Float32Array<ArrayBufferLike>;

  constructor(
    readonly dim: number,
    data: Float32Array<ArrayBufferLike> = new Float32Array(0),
    public count: number = dim ? data.length / dim : 0,
  ) {
    this.data = data;
  }

  /** Make room at once for what is known to come. */
  reserve(rows: number): void {
    if (rows * this.dim <= this.data.length) return;
    const larger = new Float32Array(rows * this.dim);
    larger.set(this.data.subarray(0, this.count * this.dim));
    this.data = larger;
  }

  push(row: Float32Array): void {
    if ((this.count + 1) * this.dim > this.data.length) this.reserve(Math.max(1024, Math.ceil(1.5 * this.count)));
    this.data.set(row, this.count * this.dim);
    this.count++;
  }

  row(at: number): Float32Array {
    return this.data.subarray(at * this.dim, (at + 1) * this.dim);
  }

  /** Some of the rows, by themselves. */
  part(from: number, to: number): Rows {
    return new Rows(this.dim, this.data.slice(from * this.dim, to * this.dim));
  }

  /** The cosine of one row with a unit vector. */
  score(at: number, vector: Float32Array): number {
    const { data, dim } = this;
    const start = at * dim;
    // Four sums, which don't wait for each other.
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    let i = 0;
    for (; i + 3 < dim; i += 4) {
      a += data[start + i]! * vector[i]!;
      b += data[start + i + 1]! * vector[i + 1]!;
      c += data[start + i + 2]! * vector[i + 2]!;
      d += data[start + i + 3]! * vector[i + 3]!;
    }
    for (; i < dim; i++) a += data[start + i]! * vector[i]!;
    return a + b + c + d;
  }

  scores(vector: Float32Array): Float32Array {
    const found = new Float32Array(this.count);
    for (let at = 0; at < this.count; at++) found[at] = this.score(at, vector);
    return found;
  }

  /** The mean of these rows; of all without any. */
  mean(places: Iterable<number> = Array(this.count).keys()): Float32Array {
    const sum = new Float32Array(this.dim);
    let count = 0;
    for (const at of places) {
      this.row(at).forEach((value, i) => (sum[i]! += value));
      count++;
    }
    return sum.map((value) => value / Math.max(1, count));
  }

  /**
   * The places of the `wanted` nearest, the nearest first, and all scores. `counts`: which rows do,
   * all without it. The page may breathe in between; `signal` ends it.
   */
  async nearest(
    vector: Float32Array, wanted: number, counts: ((at: number) => boolean) | null, signal?: AbortSignal,
  ): Promise<{ places: number[]; scores: Float32Array }> {
    const scores = new Float32Array(this.count);
    const places: number[] = [];
    for (let first = 0; first < this.count; first += BLOCK) {
      if (first) await new Promise((done) => setTimeout(done));
      signal?.throwIfAborted();
      for (let at = first; at < Math.min(first + BLOCK, this.count); at++) {
        if (counts && !counts(at)) continue;
        scores[at] = this.score(at, vector);
        places.push(at);
      }
    }
    return { places: best(places, scores, wanted), scores };
  }
}

/** The places with the highest scores, the highest first; of equal ones the first. */
export function best(places: number[], scores: Float32Array, wanted: number): number[] {
  const order = (one: number, other: number): number => scores[other]! - scores[one]! || one - other;
  if (places.length > 2 * wanted) {
    const all = Float32Array.from(places, (at) => scores[at]!).sort();
    const least = all[all.length - wanted]!;
    places = places.filter((at) => scores[at]! >= least);
  }
  return places.sort(order).slice(0, wanted);
}
