/** Whether a reply goes round in circles: galago/vlm/loops.py. */

const PERIODS = 64; // ids; what repeats is no longer

/** Told each id of a reply. */
export class Loop {
  private readonly ids: number[] = []; // the last ones
  private same = new Map<number, number>(); // by period: ids in a row equal to the one a period before

  push(id: number): void {
    const same = new Map<number, number>();
    for (let period = 1; period <= this.ids.length; period++) {
      if (this.ids[this.ids.length - period] === id) same.set(period, (this.same.get(period) ?? 0) + 1);
    }
    this.same = same;
    this.ids.push(id);
    if (this.ids.length > PERIODS) this.ids.shift();
  }

  /** Three times the same by now, and twelve ids of it. */
  get suspected(): boolean {
    return this.repeats(12, 3);
  }

  /** Eight times the same by now, and 128 ids of it. */
  get endless(): boolean {
    return this.repeats(128, 8);
  }

  private repeats(ids: number, times: number): boolean {
    // The first time round is equal to nothing before it.
    return [...this.same].some(([period, same]) => same + period >= Math.max(ids, times * period));
  }
}
