/** The album as it is searched: all vectors in one array, brought up to date from the store. */

import { type About, type Photo, Store } from "./store";
import { Rows } from "./rows";

export class Shelf {
  rows = new Rows(0);
  photos: Photo[] = []; // in the order of the rows
  about: About | null = null;
  private places = new Map<number, number>(); // id -> row
  private contents = new Map<string, number[]>(); // digest -> rows
  private keys = new Map<string, Photo>();
  private reading: Promise<void> | null = null;
  private store: Promise<Store> | null = null;

  open(): Promise<Store> {
    return (this.store ??= Store.open().catch((error: unknown) => {
      this.store = null;
      throw error;
    }));
  }

  /** What the store has by now, of whichever tab. */
  refresh(): Promise<void> {
    this.reading ??= this.read().finally(() => (this.reading = null));
    return this.reading;
  }

  /** The row of a photo. */
  placeOf(id: number): number | undefined {
    return this.places.get(id);
  }

  photo(id: number): Photo | undefined {
    return this.photos[this.places.get(id) ?? -1];
  }

  byKey(key: string): Photo | undefined {
    return this.keys.get(key);
  }

  /** The rows of one content, this one's among them. */
  sameAs(at: number): number[] {
    const digest = this.photos[at]?.digest;
    return digest ? (this.contents.get(digest) ?? [at]) : [at];
  }

  hasContent(digest: string): boolean {
    return this.contents.has(digest);
  }

  /** The folders that hold photos, by name. */
  folders(): string[] {
    const ends = this.photos.map(({ path }) => path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    return [...new Set(ends)].filter(Boolean).sort();
  }

  private async read(): Promise<void> {
    const store = await this.open();
    const about = await store.about();
    const before = this.about;
    const same = before !== null && about !== null && before.identity === about.identity && before.epoch === about.epoch;
    if (same && about.photos === this.photos.length) {
      this.about = about;
      return;
    }
    const rows = same ? this.rows : new Rows(about?.dim ?? 0);
    const photos = same ? this.photos : [];
    const from = photos.length;
    if (about) await store.read((photos.at(-1)?.id ?? 0) + 1, about.dim, rows, photos);
    if (!same) {
      this.places = new Map();
      this.contents = new Map();
      this.keys = new Map();
    }
    for (let at = from; at < photos.length; at++) this.note(photos[at]!, at);
    [this.rows, this.photos, this.about] = [rows, photos, about];
  }

  private note(photo: Photo, at: number): void {
    this.places.set(photo.id, at);
    this.keys.set(photo.key, photo);
    if (!photo.digest) return;
    const same = this.contents.get(photo.digest);
    if (same) same.push(at);
    else this.contents.set(photo.digest, [at]);
  }
}
