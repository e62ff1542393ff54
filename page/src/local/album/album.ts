/** The album of the page without a server: what the views ask of it. Put into the engine by local/engine.ts. */

import { type Engine, type Found, type PageInfo, type Query, Refused, type Sight, type Sorted } from "../../engine";
import { jpegOf } from "../../image-file";
import { THUMB } from "../clip/clip";
import { fromDataUrl } from "../decode";
import { isChinese } from "../text/chinese";
import { type Asked, read, searchedFor } from "../text/queries";
import { fileAt } from "./given";
import { Handed } from "./handed";
import { Indexing } from "./indexing";
import { type Host, identityOf, Model } from "./model";
import type { Part } from "./ranking";
import { check, find, type Spoken } from "./search";
import { Shelf } from "./shelf";
import { fitting } from "./sights";
import type { KeptFolder } from "./store";
import { written } from "./when";

const MOST_FOLDERS = 500;
const NONE = "there is no album yet: add photos first";

type Info = Pick<PageInfo, "album" | "album_problem">;

/** The views' side, and the album's share of `pageInfo`. */
export interface Album
  extends Pick<Engine, "searchAlbum" | "sights" | "photo" | "indexState" | "stopIndex" | "classify" | "files"> {
  info(): Promise<Info>;
}

export function makeAlbum(host: Host): Album {
  const shelf = new Shelf();
  const indexing = new Indexing(shelf);
  const model = new Model(host, () => shelf.open());
  const here = new Here(shelf, indexing, model);
  return {
    searchAlbum: (query, signal) => here.search(query, signal),
    sights: (ids, signal) => here.sights(ids, signal),
    photo: (id, side) => here.photo(id, side),
    indexState: () => indexing.look(),
    stopIndex: () => indexing.stop(),
    classify: (image, labels) => here.classify(image, labels),
    info: () => here.info(),
    files: new Handed(shelf, indexing, model),
  };
}

class Here {
  constructor(
    private readonly shelf: Shelf,
    private readonly indexing: Indexing,
    private readonly model: Model,
  ) {}

  async info(): Promise<Info> {
    try {
      await this.shelf.refresh();
    } catch (error) {
      return { album: null, album_problem: `this browser keeps nothing here (${words(error)})` };
    }
    const { about, photos } = this.shelf;
    if (!about || !photos.length) return { album: null, album_problem: null };
    const model = await this.model.about().catch(() => null);
    if (!model || identityOf(model) !== about.identity) {
      const other = model ? `${model.id} as it is here` : "none";
      return { album: null, album_problem: `it was made by ${about.model}, and the model now is ${other}: add the photos again` };
    }
    const folders = this.shelf.folders().slice(0, MOST_FOLDERS);
    return { album: { name: "", photos: photos.length, model: about.model, folders }, album_problem: null };
  }

  async search(query: Query, signal: AbortSignal): Promise<Found> {
    check(query);
    const { album, album_problem } = await this.info();
    if (album === null) throw new Refused(album_problem ?? NONE);
    const model = await this.model.about();
    const view = { rows: this.shelf.rows, background: await this.model.background(), reach: this.shelf.about!.reach };
    signal.throwIfAborted();
    const spoken = await this.spoken(query, model);
    signal.throwIfAborted();
    return find(this.shelf, view, query, spoken, model.id, model.knows, signal);
  }

  private async spoken({ text, image, minus, as_is }: Query, { id }: { id: string }): Promise<Spoken> {
    const said = [text, minus].map((words) => words?.trim() ?? "");
    const lexicon = as_is || !said.some(isChinese) ? null : await this.model.lexicon();
    const [wanted, unwanted] = said.map((words) => (words ? [read(words, id, lexicon)] : [])) as [Asked[], Asked[]];
    const asked = [...wanted, ...unwanted];
    const parts: Part[] = [];
    const { clip } = await this.model.open();
    const { rows, strange, cut } = asked.length
      ? await clip.read(asked.map(({ text }) => text))
      : { rows: new Float32Array(0), strange: [], cut: [] };
    const width = rows.length / Math.max(1, asked.length);
    asked.forEach((one, at) => {
      parts.push({ vector: rows.slice(at * width, (at + 1) * width), kind: "words", wanted: wanted.includes(one) });
    });
    if (image) {
      const vector = await clip.embedPicture(fromDataUrl(image));
      if (!(vector instanceof Float32Array)) throw new Refused(vector.reason);
      parts.push({ vector, kind: "picture", wanted: true });
    }
    const notes = [...new Set(asked.flatMap(({ notes }) => notes))];
    if (cut.some(Boolean)) notes.push("the model reads 77 tokens of a query; the end of yours is left out");
    return {
      parts,
      notes,
      strange: asked.flatMap(({ text }, at) => (strange[at] ? [text] : [])),
      instead: searchedFor(wanted, unwanted),
    };
  }

  async sights(ids: readonly number[], signal: AbortSignal): Promise<Sight[]> {
    await this.shelf.refresh();
    const named = await this.model.namedWords();
    signal.throwIfAborted();
    return [...new Set(ids)].flatMap((id) => {
      const at = this.shelf.placeOf(id);
      if (at === undefined) return [];
      const found = fitting(this.shelf.rows.row(at), named).map((place) => this.model.words[place]!);
      return [{ id, words: found, day: written(new Date(this.shelf.photos[at]!.mtime)).slice(0, 10) }];
    });
  }

  async classify(image: string, labels: string[]): Promise<Sorted> {
    const model = await this.model.about();
    const names = [...new Set(labels.map((label) => label.split(/\s+/).filter(Boolean).join(" ")))];
    if (!names.every((name) => name && name.length <= 500)) throw new Refused("a label must have 1 to 500 characters");
    const sorted = await (await this.model.open()).clip.sort(fromDataUrl(image), names);
    if ("reason" in sorted) throw new Refused(sorted.reason);
    const doubt = `${model.id} is not sure here: this is probably outside what it was taught`;
    return { labels: sorted.labels, doubt: sorted.doubted ? doubt : null };
  }

  /** The photo from its file while it is there, else from what was kept of it. */
  async photo(id: number, side: number): Promise<Blob> {
    if (!this.shelf.photo(id)) await this.shelf.refresh();
    const photo = this.shelf.photo(id);
    if (!photo) throw new Refused("the album has no such photo");
    const store = await this.shelf.open();
    if (side > THUMB) {
      const file = this.indexing.files.get(photo.key) ?? (await this.fromFolder(photo.path, await store.folders()));
      const large = file && (await jpegOf(file, side).catch(() => null)); // moved or changed since
      if (large) return large;
    }
    const kept = await store.pictures(id);
    const small = side > THUMB ? (kept?.preview ?? kept?.thumb) : kept?.thumb;
    if (!small) throw new Refused("the photo can't be shown");
    return small;
  }

  private async fromFolder(path: string, folders: readonly KeptFolder[]): Promise<File | null> {
    const folder = folders.find(({ name, handle }) => handle && path.startsWith(`${name}/`));
    return folder?.handle ? fileAt(folder.handle, path) : null;
  }
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));
