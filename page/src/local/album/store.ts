/** The album in this browser's IndexedDB: vectors, small pictures, and where the photos lie. */

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { Rows } from "./rows";

const NAME = "galago-album";
const FORMAT = 1; // of the stores; a later one migrates in `upgrade`
const PAGE = 2000; // records read at once
export const PREVIEW_BYTES = 256_000_000; // of larger previews, all together

/** A photo of the album. */
export interface Photo {
  id: number;
  key: string; // what tells it from others, see `keyOf`
  path: string; // "Holiday/beach/1.jpg"; of a file that was chosen alone its name
  size: number;
  mtime: number; // ms
  taken: string; // by the camera's clock, or ""
  digest: string; // of its bytes; "" where that isn't known
  thumb: number; // bytes
  preview: number; // bytes; 0 without one
}

export interface Stored extends Photo {
  vector: Float32Array;
}

/** Its small pictures. */
export interface Pictures {
  thumb: Blob;
  preview: Blob | null;
}

/** A folder that was opened; `handle` is null where only its files were handed over. */
export interface KeptFolder {
  name: string;
  handle: FileSystemDirectoryHandle | null;
}

/** What an album is made with, and how it stands. */
export interface About {
  model: string;
  identity: string;
  dim: number;
  reach: Float32Array; // galago/album/match.py
  epoch: number; // changes when photos leave or are replaced
  photos: number;
  bytes: number; // of small pictures
  previews: number; // bytes of them that are larger previews
}

interface Schema extends DBSchema {
  about: { key: "album"; value: About };
  photos: { key: number; value: Stored; indexes: { key: string } };
  pictures: { key: number; value: Pictures };
  folders: { key: string; value: KeptFolder };
  phrases: { key: string; value: { identity: string; texts: string; rows: Float32Array } };
}

/** What this browser has no more room for. */
export const isFull = (error: unknown): boolean => error instanceof DOMException && error.name === "QuotaExceededError";

/** What tells a photo from others: its path; of a file chosen alone, which has none, also its size and time. */
export const keyOf = (path: string, size: number, mtime: number): string =>
  path.includes("/") ? path : `${path}\0${size}\0${mtime}`;

export class Store {
  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  static async open(): Promise<Store> {
    const db = await openDB<Schema>(NAME, FORMAT, {
      upgrade(database) {
        database.createObjectStore("about");
        database.createObjectStore("photos", { keyPath: "id" }).createIndex("key", "key", { unique: true });
        database.createObjectStore("pictures");
        database.createObjectStore("folders", { keyPath: "name" });
        database.createObjectStore("phrases");
      },
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(), // a newer page migrates
    });
    return new Store(db);
  }

  async about(): Promise<About | null> {
    return (await this.db.get("about", "album")) ?? null;
  }

  /** An empty album of a model in place of what was there; the folders stay. */
  async begin(about: About): Promise<void> {
    const all = this.db.transaction(["about", "photos", "pictures"], "readwrite");
    await all.objectStore("photos").clear();
    await all.objectStore("pictures").clear();
    await all.objectStore("about").put(about, "album");
    await all.done;
  }

  /** Add photos with the state that they lead to; ones of the same key leave. All or nothing. */
  async add(photos: readonly Stored[], pictures: readonly Pictures[], reach: Float32Array): Promise<About> {
    const all = this.db.transaction(["about", "photos", "pictures"], "readwrite");
    const done = all.done;
    done.catch(() => {}); // it is awaited below, unless what comes first fails
    try {
      const about = await all.objectStore("about").get("album");
      if (!about) throw new Error("the album was emptied meanwhile");
      for (const [at, photo] of photos.entries()) {
        const old = await all.objectStore("photos").index("key").get(photo.key);
        if (old) {
          leave(about, old);
          await all.objectStore("photos").delete(old.id);
          await all.objectStore("pictures").delete(old.id);
        }
        await all.objectStore("photos").put(photo);
        await all.objectStore("pictures").put(pictures[at]!, photo.id);
        about.photos++;
        about.bytes += photo.thumb + photo.preview;
        about.previews += photo.preview;
      }
      about.reach = reach;
      await all.objectStore("about").put(about, "album");
      await done;
      return about;
    } catch (error) {
      try {
        all.abort(); // what was put before must not stay alone
      } catch {
        // It is over already.
      }
      await done.catch((why: unknown) => {
        if (isFull(why)) throw why;
      });
      throw error;
    }
  }

  /** Photos leave; the album as it stands then. */
  async remove(photos: readonly Photo[]): Promise<About | null> {
    const all = this.db.transaction(["about", "photos", "pictures"], "readwrite");
    const about = await all.objectStore("about").get("album");
    if (about) {
      for (const photo of photos) {
        leave(about, photo);
        await all.objectStore("photos").delete(photo.id);
        await all.objectStore("pictures").delete(photo.id);
      }
      await all.objectStore("about").put(about, "album");
    }
    await all.done;
    return about ?? null;
  }

  /** Everything: photos, folders, words. */
  async forget(): Promise<void> {
    const stores = ["about", "photos", "pictures", "folders", "phrases"] as const;
    const all = this.db.transaction(stores, "readwrite");
    for (const store of stores) await all.objectStore(store).clear();
    await all.done;
  }

  /** All photos from a number on, and their vectors into `rows`. */
  async read(from: number, dim: number, rows: Rows, photos: Photo[]): Promise<void> {
    rows.reserve(rows.count + (await this.db.count("photos", IDBKeyRange.lowerBound(from))));
    for (;;) {
      const page = await this.db.getAll("photos", IDBKeyRange.lowerBound(from), PAGE);
      for (const { vector, ...photo } of page) {
        if (vector.length !== dim) continue;
        rows.push(vector);
        photos.push(photo);
      }
      if (page.length < PAGE) return;
      from = page.at(-1)!.id + 1;
    }
  }

  /** One more than the largest number so far. */
  async nextId(): Promise<number> {
    const cursor = await this.db.transaction("photos").store.openKeyCursor(null, "prev");
    return (cursor?.key ?? 0) + 1;
  }

  async vector(id: number): Promise<Float32Array | null> {
    return (await this.db.get("photos", id))?.vector ?? null;
  }

  pictures(id: number): Promise<Pictures | undefined> {
    return this.db.get("pictures", id);
  }

  folders(): Promise<KeptFolder[]> {
    return this.db.getAll("folders");
  }

  async keepFolder(folder: KeptFolder): Promise<void> {
    await this.db.put("folders", folder);
  }

  /** The rows of texts that are the same for every album of a model; computed once and kept. */
  async phrases(name: string, identity: string, texts: readonly string[], make: () => Promise<Float32Array>): Promise<Float32Array> {
    const joined = texts.join("\n");
    const kept = await this.db.get("phrases", name);
    if (kept?.identity === identity && kept.texts === joined) return kept.rows;
    const rows = await make();
    await this.db.put("phrases", { identity, texts: joined, rows }, name).catch((error: unknown) => {
      if (!isFull(error)) throw error; // they are made again, then
    });
    return rows;
  }
}

function leave(about: About, photo: Photo): void {
  about.epoch++;
  about.photos--;
  about.bytes -= photo.thumb + photo.preview;
  about.previews -= photo.preview;
}
