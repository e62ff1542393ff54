/** Who takes the page's questions in the worker: one model, one question after the other. */

import type { OnBytes } from "../files";
import type { Device } from "../ort";
import type { Turn } from "./prompt";
import { type Reply, type Setup, type Shown, Vlm } from "./vlm";

export class Desk {
  private open: { id: string; model: Promise<Vlm> } | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private readonly asked = new Map<number, AbortController>();

  /** Read a model and make it ready; one that is already is kept. */
  load(setup: Setup, onBytes: OnBytes): Promise<Device> {
    return this.model(setup, onBytes).then(({ device }) => device);
  }

  /** The reply to question `number`, by which it can be cancelled. */
  async ask(
    number: number, setup: Setup, turns: readonly Turn[], shown: readonly Shown[],
    onText: (text: string) => void, onBytes: OnBytes,
  ): Promise<Reply & { device: Device }> {
    const controller = new AbortController();
    this.asked.set(number, controller);
    const { signal } = controller;
    try {
      return await this.next(async () => {
        signal.throwIfAborted();
        const vlm = await this.model(setup, onBytes);
        try {
          return { ...(await vlm.ask(turns, shown, onText, signal)), device: vlm.device };
        } catch (error) {
          if (signal.aborted || vlm.device !== "webgpu" || setup.asked) throw error;
          // The graphics processor gave up: the processor answers, from now on.
          const other = await this.replaced(setup, onBytes, "wasm");
          return { ...(await other.ask(turns, shown, onText, signal)), device: other.device };
        }
      });
    } finally {
      this.asked.delete(number);
    }
  }

  cancel(number: number): void {
    this.asked.get(number)?.abort();
  }

  /** Which device is quicker, by one timed token each, and from then on used; null: nothing to try. */
  tried(setup: Setup, onBytes: OnBytes): Promise<Device | null> {
    return this.next(async () => {
      const vlm = await this.model(setup, onBytes);
      if (!vlm.open) return null;
      try {
        const other = await Vlm.load(setup, onBytes, "webgpu");
        if ((await other.timed()) < (await vlm.timed())) {
          this.open = { id: setup.model.id, model: Promise.resolve(other) };
          await vlm.close();
          return "webgpu";
        }
        await other.close();
      } catch {
        // A driver that fails is no quicker.
      }
      return "wasm";
    });
  }

  /** Ids of a prompt, for tests. */
  async ids(setup: Setup, turns: readonly Turn[]): Promise<number[]> {
    return (await this.model(setup, () => {})).ids(turns);
  }

  private async model(setup: Setup, onBytes: OnBytes): Promise<Vlm> {
    const id = setup.model.id;
    if (this.open?.id === id) {
      const model = await this.open.model;
      return model.lost ? this.replaced(setup, onBytes, "wasm") : model;
    }
    return this.replaced(setup, onBytes);
  }

  private async replaced(setup: Setup, onBytes: OnBytes, device?: Device): Promise<Vlm> {
    const before = this.open;
    const open = { id: setup.model.id, model: Vlm.load(setup, onBytes, device) };
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
