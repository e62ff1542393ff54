/** Photos are looked at, one run at a time in all tabs; what was looked at is kept. */

import { type Given, type IndexState, Refused } from "../../engine";
import type { Looked, Refusal } from "../clip/clip";
import { type Unread } from "./given";
import { type Background, raise } from "./match";
import type { Shelf } from "./shelf";
import { type About, isFull, keyOf, type KeptFolder, type Pictures, PREVIEW_BYTES, type Stored, type Store } from "./store";

const LOCK = "galago-album"; // of Web Locks
const CHANNEL = "galago-album";
const EVERY = 500; // ms between two words to other tabs
const STALE = 4000; // ms without a word of a run in another tab
const AHEAD = 2; // pictures on their way in the worker
const BATCH = 16; // photos of one transaction
const NAMED = 50; // unread files that are listed
const SETTLED = 2000; // ms before a rate is told

/** What a run needs of the model. */
export interface Eyes {
  model: string;
  identity: string;
  background(told: () => void): Promise<Background>; // `told`: it must be made first, which takes a while
  look(file: File, preview: boolean): Promise<Looked | Refusal>;
}

/** Folders and files of one run. */
export interface Source {
  names: string[]; // for people
  given: AsyncIterable<Given>;
  whole: string[]; // folders that are looked through wholly: photos of them that are gone leave
  unread: Unread[]; // what could not be read of them; grows while `given` is run through
  keep: KeptFolder[];
}

type Word = { kind: "state"; state: IndexState } | { kind: "stop" };

const nothing = (): IndexState => ({
  refusal: null, running: false, number: 0, folders: [], stage: null, waiting: false, done: 0, total: 0, rate: null,
  left: null, bad: 0, unread: [], stopped: false, result: null, problem: null, album: [],
});

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const heldElsewhere = async (): Promise<boolean> =>
  ((await navigator.locks.query()).held ?? []).some(({ name }) => name === LOCK);

export class Indexing {
  private state = nothing();
  private stopping = false;
  private readonly channel = new BroadcastChannel(CHANNEL);
  private other: { state: IndexState; at: number } | null = null;
  private firstLook = { at: 0, count: 0 }; // of the rate
  /** The files of this visit, by their keys: they are shown from the disk. */
  readonly files = new Map<string, File>();

  constructor(private readonly shelf: Shelf) {
    this.channel.addEventListener("message", ({ data }: MessageEvent<Word>) => {
      if (data.kind === "stop") this.stopping = this.state.running;
      else this.other = { state: data.state, at: Date.now() };
    });
  }

  /** How far the run is, in this tab or another. */
  async look(): Promise<IndexState> {
    const album = (await (await this.shelf.open()).folders()).map(({ name }) => name);
    if (!this.state.running && !this.other?.state.running && (await heldElsewhere())) await sleep(2 * EVERY); // it will be heard
    if (this.state.running || this.other === null) return { ...this.state, album };
    const { state, at } = this.other;
    const ended = state.running && Date.now() - at > STALE && !(await heldElsewhere());
    return { ...state, album, ...(ended && { running: false, stopped: true }) };
  }

  async stop(): Promise<IndexState> {
    this.stopping = this.state.running;
    this.tell({ kind: "stop" });
    return this.look();
  }

  /** Stop what runs in any tab, and wait until it has ended; nothing is told of it then. */
  async ended(): Promise<void> {
    await this.stop();
    await navigator.locks.request(LOCK, () => {});
    [this.state, this.other] = [nothing(), null];
  }

  /** Begin; Refused while a run is under way in any tab. */
  async start(source: Source, eyes: () => Promise<Eyes>): Promise<IndexState> {
    const began = Promise.withResolvers<boolean>();
    void navigator.locks
      .request(LOCK, { ifAvailable: true }, async (lock) => {
        if (lock === null) return began.resolve(false);
        this.other = null;
        this.state = { ...nothing(), number: this.state.number + 1, running: true, folders: source.names };
        [this.stopping, this.firstLook] = [false, { at: 0, count: 0 }];
        began.resolve(true);
        await this.run(source, eyes);
      })
      .catch(began.reject);
    if (!(await began.promise)) throw new Refused("indexing is under way already");
    return this.look();
  }

  private async run(source: Source, eyes: () => Promise<Eyes>): Promise<void> {
    const started = performance.now();
    // Other tabs hear of it also while nothing gets done, as the model is read.
    const beating = setInterval(() => this.tell({ kind: "state", state: this.state }), EVERY);
    try {
      const result = await new Run(this.shelf, source, this.files, () => this.stopping, (part) => this.report(part)).go(eyes);
      const seconds = (performance.now() - started) / 1000;
      if (result === null) this.state.stopped = true;
      else this.state.result = { ...result, seconds };
    } catch (error) {
      this.state.problem = error instanceof Error ? error.message : String(error);
    }
    clearInterval(beating);
    Object.assign(this.state, { running: false, rate: null, left: null });
    this.tell({ kind: "state", state: this.state });
  }

  private report(part: Partial<IndexState> & { looked?: number }): void {
    const { looked, ...rest } = part;
    Object.assign(this.state, rest);
    if (looked !== undefined) {
      const now = performance.now();
      if (!this.firstLook.at) this.firstLook = { at: now, count: looked };
      const spent = now - this.firstLook.at;
      const rate = spent > SETTLED ? (1000 * (looked - this.firstLook.count)) / spent : null;
      this.state.rate = rate;
      this.state.left = rate ? (this.state.total - this.state.done) / rate : null;
    }
  }

  private tell(word: Word): void {
    this.channel.postMessage(word);
  }
}

type Result = Omit<NonNullable<IndexState["result"]>, "seconds">;

/** One run over what was handed over. */
class Run {
  private readonly tally = { new: 0, known: 0, unchanged: 0, gone: 0 };
  private readonly unread: Unread[] = [];
  private bad = 0;
  private done = 0;
  private looked = 0;
  private batch: { photo: Stored; pictures: Pictures }[] = [];
  private previews = true;
  private about: About | null = null;
  private reach: Float32Array = new Float32Array(0);
  private next = 1;

  constructor(
    private readonly shelf: Shelf,
    private readonly source: Source,
    private readonly files: Map<string, File>,
    private readonly stopped: () => boolean,
    private readonly report: (part: Partial<IndexState> & { looked?: number }) => void,
  ) {}

  /** Null when it was stopped; what was looked at is kept then, too. */
  async go(open: () => Promise<Eyes>): Promise<Result | null> {
    const given = await this.listed();
    if (given === null) return null;
    this.report({ stage: null });
    const store = await this.shelf.open();
    const eyes = await open();
    const background = await eyes.background(() => this.report({ stage: "calibrating" }));
    await this.begin(store, eyes, background);
    this.report({ total: given.length, stage: "indexing" });
    for (const folder of this.source.keep) await store.keepFolder(folder);
    const todo = given.filter((one) => !this.isKnown(one));
    const finished = await this.lookAt(todo, eyes, background, store);
    await this.flush(store);
    await this.shelf.refresh();
    if (!finished) return null;
    await this.leaveGone(store, given);
    return { ...this.tally, bad: this.bad, photos: this.shelf.photos.length };
  }

  /** Everything that was handed over; null when stopped. */
  private async listed(): Promise<Given[] | null> {
    const given: Given[] = [];
    this.report({ stage: "looking through folders", done: 0 });
    for await (const one of this.source.given) {
      if (this.stopped()) return null;
      given.push(one);
      if (given.length % 50 === 0) this.report({ done: given.length });
    }
    for (const one of this.source.unread) this.refuse(one);
    this.report({ done: 0 });
    return given;
  }

  /** The album that is there, or a new one where there is none or another model made it. */
  private async begin(store: Store, eyes: Eyes, background: Background): Promise<void> {
    const about = await store.about();
    if (about?.identity !== eyes.identity) {
      const reach = new Float32Array(background.absent.count).fill(-Infinity);
      const { model, identity } = eyes;
      const epoch = (about?.epoch ?? 0) + 1;
      await store.begin({ model, identity, dim: background.shown.dim, reach, epoch, photos: 0, bytes: 0, previews: 0 });
    }
    this.about = await store.about();
    this.reach = this.about?.reach ?? this.reach;
    await this.shelf.refresh();
    this.next = await store.nextId();
  }

  private isKnown({ file, path }: Given): boolean {
    const key = keyOf(path, file.size, file.lastModified);
    this.files.set(key, file);
    const kept = this.shelf.byKey(key);
    if (kept?.size !== file.size || kept.mtime !== file.lastModified) return false;
    this.tally.unchanged++;
    this.report({ done: ++this.done });
    return true;
  }

  /** Whether all were looked at: false when stopped. */
  private async lookAt(todo: Given[], eyes: Eyes, background: Background, store: Store): Promise<boolean> {
    const ahead: { one: Given; seen: Promise<Looked | Refusal> }[] = [];
    const seen = new Set<string>(); // contents of this run
    const take = async (): Promise<void> => {
      const first = ahead.shift();
      if (!first) return;
      this.note(first.one, await first.seen, seen, background);
      if (this.batch.length >= BATCH) await this.flush(store);
    };
    for (const one of todo) {
      if (this.stopped()) break;
      const room = this.previews && (this.about?.previews ?? 0) < PREVIEW_BYTES;
      const look = eyes.look(one.file, room);
      look.catch(() => {}); // it is awaited later
      ahead.push({ one, seen: look });
      if (ahead.length >= AHEAD) await take();
    }
    while (ahead.length) await take();
    return !this.stopped();
  }

  private note({ file, path }: Given, looked: Looked | Refusal, seen: Set<string>, background: Background): void {
    this.looked++;
    this.done++;
    if ("reason" in looked) this.refuse({ path, reason: looked.reason });
    else {
      const { vector, taken, digest, thumb, preview } = looked;
      const known = digest !== "" && (seen.has(digest) || this.shelf.hasContent(digest));
      if (known) this.tally.known++;
      else this.tally.new++;
      seen.add(digest);
      raise(this.reach, vector, background);
      const sizes = { thumb: thumb.size, preview: preview?.size ?? 0 };
      const [size, mtime] = [file.size, file.lastModified];
      const photo = { id: this.next++, key: keyOf(path, size, mtime), path, size, mtime, taken, digest, vector, ...sizes };
      this.batch.push({ photo, pictures: { thumb, preview } });
    }
    this.report({ done: this.done, looked: this.looked });
  }

  private refuse(one: Unread): void {
    this.bad++;
    if (this.unread.length < NAMED) this.unread.push(one);
    this.report({ bad: this.bad, unread: this.unread });
  }

  /** Keep what was looked at; without larger previews where there is no room for them. */
  private async flush(store: Store): Promise<void> {
    const batch = this.batch.splice(0);
    if (!batch.length) return;
    const put = async (): Promise<void> => {
      this.about = await store.add(batch.map(({ photo }) => photo), batch.map(({ pictures }) => pictures), this.reach);
    };
    try {
      await put().catch((error: unknown) => {
        if (!isFull(error)) throw error;
        this.previews = false;
        for (const one of batch) {
          one.pictures.preview = null;
          one.photo.preview = 0;
        }
        return put();
      });
    } catch (error) {
      if (!isFull(error)) throw error;
      throw new Error(
        "this browser has no more room for the album: what was looked at before is kept. Make room on the disk, or in the browser's settings for this site, and add the same photos again: it goes on from there",
      );
    }
  }

  /** Photos that a folder no longer has leave, unless some of it can't be read. */
  private async leaveGone(store: Store, given: readonly Given[]): Promise<void> {
    const starts = this.source.whole.map((name) => `${name}/`);
    const there = new Set(given.map(({ path }) => path));
    const inWhole = (path: string): boolean => starts.some((start) => path.startsWith(start));
    const unread = this.source.unread.map(({ path }) => path);
    const hidden = (path: string): boolean => unread.some((one) => path === one || path.startsWith(`${one}/`));
    const gone = this.shelf.photos.filter(({ path }) => inWhole(path) && !there.has(path) && !hidden(path));
    if (!gone.length) return;
    this.about = await store.remove(gone);
    this.tally.gone = gone.length;
    await this.shelf.refresh();
  }
}
