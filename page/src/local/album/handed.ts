/** Files and folders that a person adds to the album. */

import { type Files, type Given, type IndexState, type Kept, Refused } from "../../engine";
import { canPick, looksLikePicture, permission, pick, picturesIn, type Unread } from "./given";
import type { Eyes, Indexing, Source } from "./indexing";
import { identityOf, type Model } from "./model";
import type { Shelf } from "./shelf";
import { type KeptFolder, PREVIEW_BYTES } from "./store";

export class Handed implements Files {
  readonly canOpen = canPick();

  constructor(
    private readonly shelf: Shelf,
    private readonly indexing: Indexing,
    private readonly model: Model,
  ) {}

  async add(given: readonly Given[]): Promise<IndexState> {
    const pictures = given.filter(({ file }) => looksLikePicture(file));
    if (!pictures.length) throw new Refused("there is no picture among these files");
    const tops = pictures.map(({ path }) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : null));
    const names = [...new Set(tops)].filter((name) => name !== null);
    const known = (await (await this.shelf.open()).folders()).map(({ name }) => name);
    const keep = names.filter((name) => !known.includes(name)).map((name) => ({ name, handle: null }));
    return this.start({ names, given: from(pictures), whole: [], unread: [], keep });
  }

  async open(): Promise<IndexState | null> {
    const handle = await pick();
    if (handle === null) return null;
    const folders = await (await this.shelf.open()).folders();
    const name = await nameFor(handle, folders);
    return this.start(sourceOf([{ name, handle }], true));
  }

  async again(): Promise<IndexState> {
    const folders = (await (await this.shelf.open()).folders()).filter(({ handle }) => handle !== null);
    if (!folders.length) throw new Refused("this browser can't look at the folders by itself: choose them again");
    const allowed: KeptFolder[] = [];
    for (const folder of folders) {
      if ((await permission(folder.handle!, true)) === "granted") allowed.push(folder);
    }
    if (!allowed.length) throw new Refused("the folders were not allowed to be read: press the button again and allow it");
    return this.start(sourceOf(allowed, allowed.length < folders.length));
  }

  async kept(): Promise<Kept> {
    await this.shelf.refresh();
    const { about, photos, rows } = this.shelf;
    const bytes = (about?.bytes ?? 0) + 4 * rows.count * rows.dim;
    return { photos: photos.length, bytes: photos.length ? bytes : 0, previews: PREVIEW_BYTES };
  }

  async forget(): Promise<void> {
    await this.indexing.ended();
    await (await this.shelf.open()).forget();
    this.indexing.files.clear();
    this.model.forget();
    await this.shelf.refresh();
  }

  private async start(source: Source): Promise<IndexState> {
    await this.model.about(); // refuses where there is none
    void navigator.storage?.persist?.().catch(() => false); // else the browser may clear it where disks are full
    return this.indexing.start(source, () => this.eyes());
  }

  private async eyes(): Promise<Eyes> {
    const [about, { clip }] = [await this.model.about(), await this.model.open()];
    return {
      model: about.id,
      identity: identityOf(about),
      background: (told) => this.model.background(told),
      look: (file, preview) => clip.look(file, preview),
    };
  }
}

async function* from(given: readonly Given[]): AsyncGenerator<Given> {
  yield* given;
}

/** Kept folders as a run's source; `named`: whether they are told one by one. */
function sourceOf(folders: (KeptFolder & { handle: FileSystemDirectoryHandle | null })[], named: boolean): Source {
  const unread: Unread[] = [];
  async function* given(): AsyncGenerator<Given> {
    for (const { name, handle } of folders) if (handle) yield* picturesIn(handle, name, (one) => unread.push(one));
  }
  const names = folders.map(({ name }) => name);
  return { names: named ? names : [], given: given(), whole: names, unread, keep: folders };
}

/** What a folder is called here: another one of the same name gets a number. */
async function nameFor(handle: FileSystemDirectoryHandle, folders: readonly KeptFolder[]): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? handle.name : `${handle.name} (${number})`;
    const there = folders.find((folder) => folder.name === name);
    if (!there || (there.handle && (await there.handle.isSameEntry(handle)))) return name;
  }
}
