/** Questions of the page for the worker. */

import { proxy, transfer } from "comlink";
import { type Answer, type Loading, type Message, Refused, type Seen } from "../../engine";
import { worker } from "../link";
import type { OnBytes } from "../files";
import { type Device, possibleThreads } from "../ort";
import type { Site, SiteModel } from "../site";
import type { Turn } from "./prompt";
import type { Setup, Shown } from "./vlm";

const DOUBT = "the model is not sure: this is probably outside what it was taught";

const isDevice = (text: unknown): text is Device => text === "wasm" || text === "webgpu";

/** Which device a trial found quicker; kept with the versions that it was true of. */
class Known {
  private readonly key: string;

  constructor(site: Site, model: SiteModel) {
    this.key = `galago-device ${model.id} ${site.version} ${site.runtime.version}`;
  }

  get device(): Device | null {
    try {
      const kept = localStorage.getItem(this.key);
      return isDevice(kept) ? kept : null;
    } catch {
      return null; // storage switched off
    }
  }

  set device(device: Device) {
    try {
      localStorage.setItem(this.key, device);
    } catch {
      // It is tried again at the next visit, then.
    }
  }
}

export class Asking {
  private number = 0;
  private readonly known: Known;
  private tried = false;

  constructor(
    private readonly site: Site,
    private readonly model: SiteModel,
    private readonly given: ReadonlyMap<string, Blob> | null, // its files, where not to be fetched
    private readonly onLoading: (state: Loading) => void,
    private readonly onFell: () => void, // the graphics processor failed: the processor answers
  ) {
    this.known = new Known(site, model);
  }

  /** Begin to read the model, so that it is there when it is asked. */
  prepare(): void {
    // What goes wrong is told to who asks.
    void worker().vlm.load(this.setup(), this.onBytes()).then(({ fell }) => this.noteFall(fell), () => {});
  }

  /** Ask, and get the text so far with every piece that arrives. Aborting stops the work. */
  async chat(messages: readonly Message[], onText: (text: string) => void, signal: AbortSignal): Promise<Answer> {
    const start = performance.now();
    const answer: Answer = { text: "", firstToken: 0, doubt: null };
    const hear = (text: string): void => {
      if (signal.aborted) return;
      answer.firstToken ||= (performance.now() - start) / 1000;
      onText(text);
    };
    signal.throwIfAborted();
    const number = this.number++;
    const desk = worker().vlm;
    const { turns, shown } = asTurns(messages);
    const frames = shown.flatMap((picture) => (typeof picture === "string" ? [] : [picture.data.buffer]));
    const reply = desk.ask(number, this.setup(), turns, transfer(shown, frames), proxy(hear), this.onBytes());
    const { text, doubted, fell } = await stoppable(reply, signal, () => void desk.cancel(number));
    this.noteFall(fell);
    answer.text = text;
    answer.doubt = doubted ? DOUBT : null;
    this.tryDevice();
    return answer;
  }

  /** Once the first answer is there: whether a graphics processor is quicker. */
  private tryDevice(): void {
    if (this.tried || this.known.device !== null) return;
    this.tried = true;
    void worker().vlm.tried(this.setup(), this.onBytes()).then((device) => {
      if (device !== null) this.known.device = device;
    }, () => {});
  }

  /** One that failed is not trusted again in this browser, until another version is here. */
  private noteFall(fell: boolean): void {
    if (!fell) return;
    this.known.device = "wasm";
    this.onFell();
  }

  private setup(): Setup {
    const { searchParams } = new URL(location.href);
    const [asked, threads] = [searchParams.get("device"), Number(searchParams.get("threads"))];
    return {
      base: document.baseURI,
      site: this.site,
      model: this.model,
      given: this.given,
      threads: Math.min(threads || Infinity, possibleThreads()),
      asked: isDevice(asked) ? asked : null,
      known: this.known.device,
    };
  }

  private onBytes(): OnBytes {
    return proxy((done: number, total: number, kept: boolean) =>
      this.onLoading({ name: this.model.id, done, total, kept }));
  }
}

/** What the worker replies, or at once what the signal says. */
async function stoppable<T>(reply: Promise<T>, signal: AbortSignal, stop: () => void): Promise<T> {
  return await new Promise((done, fail) => {
    const give = (): void => {
      stop();
      fail(signal.reason as Error);
    };
    signal.addEventListener("abort", give, { once: true });
    reply
      .finally(() => signal.removeEventListener("abort", give))
      .then(done, (error: unknown) => fail(new Refused(error instanceof Error ? error.message : String(error))));
  });
}

/** Messages as turns and their pictures, which stand before the text. */
function asTurns(messages: readonly Message[]): { turns: Turn[]; shown: Shown[] } {
  const shown: Shown[] = [];
  const turns = messages.map(({ role, content }): Turn => {
    if (typeof content === "string") return { role, text: content, pictures: 0 };
    const pictures: Seen[] = content.flatMap((part) => (part.type === "image_url" ? [part.image_url.url] : []));
    shown.push(...pictures.map((seen) => (typeof seen === "string" ? seen : plain(seen))));
    const text = content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
    return { role, text, pictures: pictures.length };
  });
  return { turns, shown };
}

const plain = ({ data, width, height }: ImageData): Shown => ({ data: data as Uint8ClampedArray, width, height });
