/**
 * What was fetched stays in this browser: a file in parts, each by the byte it begins at, so that one
 * that was stopped goes on. Two tabs that write the same file write the same bytes.
 */

const CACHE = "galago-files";

/** Whether this browser keeps files at all: not without https, nor in some private windows. */
async function open(): Promise<Cache | null> {
  try {
    return await caches.open(CACHE);
  } catch {
    return null; // `caches` itself is missing, or storage is switched off
  }
}

export class Kept {
  private constructor(
    private cache: Cache | null,
    private readonly address: string,
  ) {}

  /** The file with this key (its digest), of the page at `base`. */
  static async of(base: string, key: string): Promise<Kept> {
    return new Kept(await open(), new URL(`kept/${key}/`, base).href);
  }

  /** Whether what is added stays. */
  get holds(): boolean {
    return this.cache !== null;
  }

  /** Read what there is from the start on; how many bytes that is. */
  async read(into: Uint8Array): Promise<number> {
    let done = 0;
    while (this.cache !== null && done < into.length) {
      const part = await this.cache.match(this.address + done).catch(() => undefined);
      const bytes = part && new Uint8Array(await part.arrayBuffer().catch(() => new ArrayBuffer()));
      if (!bytes?.length || done + bytes.length > into.length) break;
      into.set(bytes, done);
      done += bytes.length;
    }
    return done;
  }

  /** Keep these bytes, which begin there. Without room for them nothing more of the file is kept. */
  async add(from: number, bytes: Uint8Array): Promise<void> {
    if (this.cache === null || bytes.length === 0) return;
    try {
      await this.cache.put(this.address + from, new Response(bytes.slice()));
    } catch {
      await this.drop(); // half of a file only takes the room of others
      this.cache = null;
    }
  }

  /** Forget the file. */
  async drop(): Promise<void> {
    const cache = this.cache;
    if (cache === null) return;
    const parts = await cache.keys().catch(() => []);
    const mine = parts.filter(({ url }) => url.startsWith(this.address));
    await Promise.all(mine.map((part) => cache.delete(part)));
  }
}

/** Forget the files of the page at `base` with other keys than these: of versions before. */
export async function forgetOthers(base: string, keys: ReadonlySet<string>): Promise<void> {
  const cache = await open();
  const folder = new URL("kept/", base).href;
  for (const part of (await cache?.keys().catch(() => [])) ?? []) {
    if (!part.url.startsWith(folder)) continue;
    const key = part.url.slice(folder.length).split("/")[0] ?? "";
    if (!keys.has(key)) await cache?.delete(part);
  }
}

/** Ask the browser not to clear this page's storage by itself; after something the person did. */
export const askToKeep = async (): Promise<boolean> =>
  (await navigator.storage?.persist?.().catch(() => false)) ?? false;
