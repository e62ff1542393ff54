/** Models of the hub: nothing is asked before the person wants one; what was listed then is remembered. */

import { type HubModel, Refused } from "../engine";
import { readFiles } from "./files";
import type { SiteFile, SiteModel } from "./site";
import { type Config, type Dtypes, filesOf, modelOf, type Processor } from "./vlm/layout";

const HUB = "https://huggingface.co";
const SILENT = "The hub does not answer, or not as expected. Try again later.";
const GROWN = "The hub's model is far larger by now than this page said; it was not fetched.";
const MORE = 1.1; // by which a model may have grown since the page was written

interface Row extends HubModel {
  dtypes: Dtypes;
}

/** In the dtypes that its card and Apple's demonstration use: the encoder computes in float32. */
export const HUB_MODELS: readonly Row[] = [
  {
    id: "onnx-community/FastVLM-0.5B-ONNX",
    bytes: 1.1e9,
    licence: "apple-amlr (research only, no commercial use)",
    host: new URL(HUB).host,
    page: `${HUB}/onnx-community/FastVLM-0.5B-ONNX`,
    dtypes: { vision: "q4", embedding: "fp16", decoder: "q4" },
  },
];

/** As the hub lists a revision: https://huggingface.co/docs/hub/api, with blobs=true. */
interface Listing {
  sha: string;
  siblings: { rfilename: string; size: number; lfs?: { sha256: string } | null }[];
}

/** A model as it is now: its files by size and digest, of one revision that stays what it is. */
export async function listed(id: string, base: string, presets: SiteModel["presets"], signal: AbortSignal): Promise<SiteModel> {
  const row = HUB_MODELS.find((one) => one.id === id);
  if (!row) throw new Refused(`the hub's ${id} is not known here`);
  const { sha, siblings } = await listing(id, signal);
  const all = siblings.map(({ rfilename, size, lfs }): SiteFile => ({ path: rfilename, bytes: size, sha256: lfs?.sha256 ?? "" }));
  const files = filesOf(all, row.dtypes);
  if (files.reduce((sum, { bytes }) => sum + bytes, 0) > MORE * row.bytes) throw new Refused(GROWN);
  const folder = `${HUB}/${id}/resolve/${sha}/`;
  const texts = await readFiles(base, { folder, files }, ["config.json", "preprocessor_config.json"], () => {}, signal);
  const [config, processor] = texts.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as object);
  const about = { id, licence: row.licence, folder, files, presets };
  return modelOf(about, row.dtypes, config as Config, processor as Processor);
}

async function listing(id: string, signal: AbortSignal): Promise<Listing> {
  try {
    const response = await fetch(`${HUB}/api/models/${id}/revision/main?blobs=true`, { signal });
    const found = (await response.json()) as Listing;
    const whole = found.siblings.every(({ rfilename, size }) => typeof rfilename === "string" && Number.isSafeInteger(size));
    if (response.ok && whole && /^[0-9a-f]{40}$/.test(found.sha)) return found;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
  }
  throw new Refused(SILENT);
}

/** A model of the hub that this browser keeps, or has begun to. */
interface Known {
  model: SiteModel;
  whole: boolean;
}

/** What is remembered beside the page at `base`; until it is closed where nothing can be kept. */
export class Remembered {
  private readonly key: string;
  private held: { models: Record<string, Known>; chosen: string | null } = { models: {}, chosen: null };

  constructor(base: string) {
    this.key = `galago-hub ${new URL(".", base).pathname}`;
    try {
      this.held = { ...this.held, ...(JSON.parse(localStorage.getItem(this.key) ?? "{}") as object) };
    } catch {
      // Storage is switched off, or not ours.
    }
  }

  get models(): SiteModel[] {
    return Object.values(this.held.models).map(({ model }) => model);
  }

  of(id: string): Known | null {
    return this.held.models[id] ?? null;
  }

  note(known: Known): void {
    this.held.models[known.model.id] = known;
    this.save();
  }

  forget(id: string): void {
    delete this.held.models[id];
    this.save();
  }

  get chosen(): string | null {
    return this.held.chosen;
  }

  set chosen(id: string | null) {
    this.held.chosen = id;
    this.save();
  }

  private save(): void {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.held));
    } catch {
      // It holds until the page is closed, then.
    }
  }
}
