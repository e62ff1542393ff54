/** Models beside the page's own: of a folder that the person names, or of the hub. */

import { type Loading, type Models, Refused } from "../engine";
import { type Folder, keysOf, readFiles } from "./files";
import { HUB_MODELS, listed, Remembered } from "./hub";
import { askToKeep, forgetOthers } from "./kept";
import type { Site, SiteFile, SiteModel } from "./site";
import { graphics, hasHalves } from "./vlm/device";
import { chooseDtypes, type Config, filesOf, modelOf, type Processor } from "./vlm/layout";

const NO_ROOM = "This browser has no room to keep the model, so it was not fetched. Free some space, or export it to a folder and open that.";

/** What answers: a model, and its files where they are not to be fetched. */
export interface Chosen {
  model: SiteModel;
  given: ReadonlyMap<string, Blob> | null;
}

interface Host {
  base: string; // the page's address
  site(): Promise<Site>;
  loading(state: Loading): void;
}

export class LocalModels implements Models {
  readonly hub = HUB_MODELS;
  private readonly remembered: Remembered;
  private named: Chosen | null = null; // a folder's
  private count = 0; // of folders

  constructor(private readonly host: Host) {
    this.remembered = new Remembered(host.base);
  }

  /** What answers instead of the page's own model. */
  get answering(): Chosen | null {
    if (this.named) return this.named;
    const { chosen } = this.remembered;
    const known = chosen === null ? null : this.remembered.of(chosen);
    return known && { model: known.model, given: null };
  }

  get chosen(): string | null {
    return this.answering?.model.id ?? null;
  }

  async own(): Promise<string> {
    return (await this.host.site()).default;
  }

  async problem(): Promise<string | null> {
    const found = await graphics();
    return typeof found === "string" ? found : null;
  }

  kept(id: string): "all" | "part" | null {
    const known = this.remembered.of(id);
    return known && (known.whole ? "all" : "part");
  }

  async fromFolder(files: readonly File[]): Promise<string> {
    const name = files[0]?.webkitRelativePath.split("/")[0] || "model";
    const given = new Map(files.map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file]));
    const all = [...given].map(([path, { size }]): SiteFile => ({ path, bytes: size, sha256: "" }));
    const dtypes = chooseDtypes(new Set(given.keys()), hasHalves(await graphics()));
    const about = {
      id: name,
      licence: "",
      folder: `named/${this.count++}/`, // tells it from others of its name; nothing is fetched there
      files: filesOf(all, dtypes),
      presets: await this.presets(),
    };
    const config = await json<Config>(given, "config.json");
    const processor = await json<Processor>(given, "preprocessor_config.json");
    this.named = { model: modelOf(about, dtypes, config, processor), given };
    return name;
  }

  async fromHub(id: string, signal: AbortSignal): Promise<void> {
    void askToKeep(); // right after the click; some browsers ask the person, who may not answer
    const problem = await this.problem();
    if (problem !== null) throw new Refused(problem);
    const model = this.remembered.of(id)?.model ?? (await listed(id, this.host.base, await this.presets(), signal));
    // What arrives is remembered from now on, so that it can go on, and be freed.
    if (!this.kept(id)) this.remembered.note({ model, whole: false });
    await this.fetch(model, signal);
    this.remembered.note({ model, whole: true });
    this.named = null;
    this.remembered.chosen = id;
  }

  async forget(id: string): Promise<void> {
    if (this.remembered.chosen === id) this.remembered.chosen = null;
    this.remembered.forget(id);
    await this.tidy();
  }

  back(): void {
    this.named = null;
    this.remembered.chosen = null;
  }

  /** Free what this browser keeps of versions before, and of models that were removed. */
  async tidy(): Promise<void> {
    const { base } = this.host;
    const { models, runtime } = await this.host.site();
    const folders: Folder[] = [...models, runtime, ...this.remembered.models];
    await forgetOthers(base, new Set(folders.flatMap((folder) => keysOf(base, folder))));
  }

  /** Everything can be asked: what a model was not taught is known of the embedded ones alone. */
  private async presets(): Promise<SiteModel["presets"]> {
    return (await this.host.site()).models.find(({ kind }) => kind === "fastvlm")?.presets ?? [];
  }

  /** Have this browser keep all files of a model; one at a time, as all together are large. */
  private async fetch(model: SiteModel, signal: AbortSignal): Promise<void> {
    const total = model.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const full = new AbortController();
    let before = 0;
    const tell = (done: number, _: number, kept: boolean): void => {
      // To fetch so much for one visit is nobody's wish.
      if (!kept) full.abort(new Refused(NO_ROOM));
      else this.host.loading({ name: model.id, done: before + done, total, kept });
    };
    try {
      for (const { path, bytes } of model.files) {
        await readFiles(this.host.base, model, [path], tell, AbortSignal.any([signal, full.signal]));
        full.signal.throwIfAborted();
        before += bytes;
      }
    } catch (error) {
      this.host.loading({ name: model.id, done: 0, total: 0, kept: true });
      throw error;
    }
  }
}

async function json<T>(given: ReadonlyMap<string, Blob>, path: string): Promise<T> {
  try {
    return JSON.parse((await given.get(path)?.text()) ?? "") as T;
  } catch {
    throw new Refused(`${path} of this folder can't be read`);
  }
}
