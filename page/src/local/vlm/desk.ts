/** Who takes the page's questions in the worker: one model, one question after the other. */

import { Refused } from "../../engine";
import type { OnBytes } from "../files";
import type { Device } from "../ort";
import { isLarge } from "./device";
import type { Turn } from "./prompt";
import { type Reply, type Setup, type Shown, Vlm } from "./vlm";

/** A model that is open: a Vlm is one. */
export type Open = Pick<Vlm, "device" | "open" | "lost" | "ask" | "timed" | "ids" | "close">;

/** `fell`: the graphics processor failed just now, and the processor answers in its place. */
export interface Ready {
  device: Device;
  fell: boolean;
}

export class Desk {
  private open: { key: string; model: Promise<Open> } | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private readonly asked = new Map<number, AbortController>();

  constructor(
    private readonly read: (setup: Setup, onBytes: OnBytes, device?: Device) => Promise<Open> = (...of) => Vlm.load(...of),
  ) {}

  /** Read a model and make it ready; one that is already is kept. */
  load(setup: Setup, onBytes: OnBytes): Promise<Ready> {
    // In its turn: the model before may be answering.
    return this.next(async () => {
      const { vlm, fell } = await this.ready(setup, onBytes);
      return { device: vlm.device, fell };
    });
  }

  /** The reply to question `number`, by which it can be cancelled. */
  async ask(
    number: number, setup: Setup, turns: readonly Turn[], shown: readonly Shown[],
    onText: (text: string) => void, onBytes: OnBytes,
  ): Promise<Reply & Ready> {
    const controller = new AbortController();
    this.asked.set(number, controller);
    const { signal } = controller;
    const reply = async (vlm: Open, fell: boolean): Promise<Reply & Ready> =>
      ({ ...(await vlm.ask(turns, shown, onText, signal)), device: vlm.device, fell });
    try {
      return await this.next(async () => {
        signal.throwIfAborted();
        const { vlm, fell } = await this.ready(setup, onBytes);
        try {
          return await reply(vlm, fell);
        } catch (error) {
          // Refused is what can't be answered by any device.
          if (signal.aborted || vlm.device !== "webgpu" || setup.asked || error instanceof Refused) throw error;
          if (isLarge(setup.model) && !vlm.lost) throw error;
          return await reply(await this.instead(setup, onBytes), true);
        }
      });
    } finally {
      this.asked.delete(number);
    }
  }

  cancel(number: number): void {
    this.asked.get(number)?.abort();
  }

  /** Which device is quicker, by one timed token each, and from then on used; null: that isn't known now. */
  async tried(setup: Setup, onBytes: OnBytes): Promise<Device | null> {
    const { open } = this;
    const vlm = open?.key === keyOf(setup) ? await open.model : null;
    if (!vlm?.open) return null;
    let other: Open | undefined;
    try {
      // Meanwhile questions are answered: its files may take minutes, and its first run compiles it.
      other = await this.read(setup, onBytes, "webgpu");
      await other.timed();
    } catch (error) {
      void other?.close().catch(() => {});
      return error instanceof Refused ? null : "wasm"; // a driver that fails is no quicker
    }
    const rival = other;
    return this.next(async () => {
      const quicker = await isQuicker(rival, vlm);
      if (this.open === open && quicker) {
        this.open = { key: keyOf(setup), model: Promise.resolve(rival) };
        await vlm.close();
      } else {
        await rival.close();
      }
      return quicker ? "webgpu" : "wasm";
    });
  }

  /** Ids of a prompt, for tests. */
  async ids(setup: Setup, turns: readonly Turn[]): Promise<number[]> {
    return (await this.ready(setup, () => {})).vlm.ids(turns);
  }

  private async ready(setup: Setup, onBytes: OnBytes): Promise<{ vlm: Open; fell: boolean }> {
    if (this.open?.key === keyOf(setup)) {
      const vlm = await this.open.model;
      return vlm.lost ? { vlm: await this.instead(setup, onBytes), fell: true } : { vlm, fell: false };
    }
    try {
      return { vlm: await this.replaced(setup, onBytes), fell: false };
    } catch (error) {
      if (setup.asked || setup.known !== "webgpu") throw error;
      // What was quicker once can't be opened. Where its files didn't come, it may be at the next visit.
      return { vlm: await this.instead(setup, onBytes), fell: !(error instanceof Refused) };
    }
  }

  /** The processor, in place of a graphics processor that failed. */
  private async instead(setup: Setup, onBytes: OnBytes): Promise<Open> {
    if (isLarge(setup.model)) {
      throw new Refused(`${setup.model.id} needs the graphics processor, which stopped: load the page again`);
    }
    return this.replaced(setup, onBytes, "wasm");
  }

  private async replaced(setup: Setup, onBytes: OnBytes, device?: Device): Promise<Open> {
    const before = this.open;
    const open = { key: keyOf(setup), model: this.read(setup, onBytes, device) };
    this.open = open;
    open.model.catch(() => {
      if (this.open === open) this.open = null; // worth another try
    });
    void before?.model.then((model) => model.close()).catch(() => {});
    return open.model;
  }

  /** One after the other: a session is nobody's twice. */
  private next<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work, work);
    this.last = mine.catch(() => {});
    return mine;
  }
}

/** Which model is meant: two folders may have the same name. */
const keyOf = ({ model }: Setup): string => `${model.folder} ${model.id}`;

/** Whether one model gives its first token sooner than another. */
async function isQuicker(one: Open, other: Open): Promise<boolean> {
  try {
    return (await one.timed()) < (await other.timed());
  } catch {
    return false;
  }
}
