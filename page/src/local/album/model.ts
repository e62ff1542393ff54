/** The model of the album, in the worker; rows of texts that every album needs are kept. */

import { proxy, type Remote } from "comlink";
import background from "../../../../galago/data/background.txt?raw";
import sights from "../../../../galago/data/sights.txt?raw";
import { type Loading, Refused } from "../../engine";
import type { Clip } from "../clip/clip";
import { readTables } from "../clip/doubt";
import { readFiles } from "../files";
import { worker } from "../link";
import type { Site, SiteModel } from "../site";
import { Lexicon } from "../text/chinese";
import { type Background, phrasesOf } from "./match";
import { Rows } from "./rows";
import { phrase, wordsOf } from "./sights";
import type { Store } from "./store";

/** Vectors of phrases that came with the model: galago/export/web_phrases.py writes them. */
const PHRASES = "phrases.tensors";
/** Chinese words in English, beside the model too. */
const CHINESE = "zh-en.txt";
const NO_MODEL = "this page came without a model that finds photos: galago export --to web --with mobileclip2-nano adds one";

/** What the album needs of the engine that it is a part of. */
export interface Host {
  site(): Promise<Site>;
  loading(state: Loading): void;
}

export class Model {
  /** What a photo may show. */
  readonly words = wordsOf(sights);
  private phrases: Promise<Background> | null = null;
  private named: Promise<Rows> | null = null;
  private chinese: Promise<Lexicon | null> | null = null;

  constructor(
    private readonly host: Host,
    private readonly store: () => Promise<Store>,
  ) {}

  /** Refused where the page has none. */
  async about(): Promise<SiteModel> {
    const model = (await this.host.site()).models.find(({ kind }) => kind === "mobileclip");
    if (!model) throw new Refused(NO_MODEL);
    return model;
  }

  /** In an object: a promise of a part of the worker would ask that part for its value. */
  async open(): Promise<{ clip: Remote<Clip> }> {
    const [site, model] = [await this.host.site(), await this.about()];
    const { clip } = worker();
    const told = (done: number, total: number, kept: boolean): void => this.host.loading({ name: model.id, done, total, kept });
    await clip.use(document.baseURI, site, model, proxy(told));
    return { clip };
  }

  /** Everyday phrases; `told` when they must be made first, which takes a while. */
  background(told: () => void = () => {}): Promise<Background> {
    return (this.phrases ??= this.makeBackground(told).catch((error: unknown) => {
      this.phrases = null;
      throw error;
    }));
  }

  /** What Chinese words mean; null where the page came without a list of them, or where it can't be had now. */
  lexicon(): Promise<Lexicon | null> {
    return (this.chinese ??= this.beside(CHINESE).then((file) => file && new Lexicon(new TextDecoder().decode(file))).catch(() => {
      this.chinese = null;
      return null;
    }));
  }

  /** The rows of `words`. */
  namedWords(): Promise<Rows> {
    return (this.named ??= this.kept("sights", this.words.map(phrase)).catch((error: unknown) => {
      this.named = null;
      throw error;
    }));
  }

  /** What was kept may be gone. */
  forget(): void {
    this.phrases = this.named = null;
  }

  private async makeBackground(told: () => void): Promise<Background> {
    const { shown, absent } = phrasesOf(background);
    const all = await this.kept("background", [...shown, ...absent], told);
    return { shown: all.part(0, shown.length), absent: all.part(shown.length, all.count) };
  }

  /** Rows of texts, made once for a model, unless they came with it. */
  private async kept(name: string, texts: readonly string[], told: () => void = () => {}): Promise<Rows> {
    const identity = identityOf(await this.about());
    const rows = await (await this.store()).phrases(name, identity, texts, async () => {
      void this.beside(CHINESE).catch(() => {}); // to be kept, for searches without the network
      const came = await this.shipped(name, texts.length);
      if (came) return came;
      told();
      return (await (await this.open()).clip.read(texts)).rows;
    });
    return new Rows(rows.length / texts.length, rows);
  }

  /** Rows that came with the model, if they are of so many texts. */
  private async shipped(name: string, count: number): Promise<Float32Array | null> {
    const file = await this.beside(PHRASES);
    const table = file && readTables(file).get(name);
    return table?.shape[0] === count ? table.values : null;
  }

  /** A file that came with the model; null where there is none. */
  private async beside(path: string): Promise<Uint8Array | null> {
    const model = await this.about();
    if (!model.files.some((file) => file.path === path)) return null;
    return (await readFiles(document.baseURI, model, [path]))[0] ?? null;
  }
}

/** What tells a model's vectors from another's: how pictures are prepared, and both graphs. */
export function identityOf({ id, dtype, image, files }: SiteModel): string {
  const graphs = files.filter(({ path }) => path.startsWith("onnx/"));
  return JSON.stringify([id, dtype, image, graphs.map(({ path, sha256, bytes }) => `${path} ${sha256 || bytes}`)]);
}
