/** The files beside this page: `site.json`, and what models consist of. */

import { Refused } from "../engine";
import { Kept } from "./kept";
import type { Site, SiteFile } from "./site";

/** How far the files that are asked for are, in bytes; `kept`: whether a next visit will have them. */
export type OnBytes = (done: number, total: number, kept: boolean) => void;

/** Where files are: below an address, relative to the page's. */
export interface Folder {
  folder: string;
  files: readonly SiteFile[];
}

const PART = 1 << 20; // bytes that are kept at a time: a tab that is closed loses less than that
const TRIES = 4; // in vain, one after the other
const GONE = "The network does not answer. What has arrived is kept, and goes on from there.";
const STRANGE = "A file of the model is not what it should be; the page's host may be mending it. Try again later.";

export async function readSite(base: string): Promise<Site> {
  const response = await fetch(new URL("site.json", base)).catch(() => null);
  if (!response?.ok) throw new Refused("The page's site.json is missing: galago export --to web writes it.");
  return (await response.json()) as Site;
}

/**
 * Read files of a folder, `base` being the page's address; in the order of `paths`. Those in `given`
 * (by path) come from there. What is fetched is checked, kept, and gone on with after an interruption.
 */
export async function readFiles(
  base: string,
  folder: Folder,
  paths: readonly string[],
  onBytes: OnBytes = () => {},
  signal?: AbortSignal,
  given?: ReadonlyMap<string, Blob> | null,
): Promise<Uint8Array[]> {
  const wanted = paths.map((path) => {
    const file = folder.files.find((file) => file.path === path);
    if (file === undefined) throw new Refused(`${path} is missing from the model`);
    return file;
  });
  const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  let [before, kept] = [0, true];
  const found: Uint8Array[] = [];
  for (const file of wanted) {
    const blob = given?.get(file.path);
    const tell = (done: number, holds: boolean): void => {
      kept &&= holds;
      onBytes(before + done, total, kept);
    };
    const address = new URL(file.path, new URL(folder.folder, base)).href;
    found.push(blob ? new Uint8Array(await blob.arrayBuffer()) : await readFile(base, address, file, tell, signal));
    before += file.bytes;
    onBytes(before, total, kept);
  }
  return found;
}

type Tell = (done: number, kept: boolean) => void;

/** One at a time in all tabs: the second finds what the first has kept. */
async function readFile(base: string, address: string, file: SiteFile, tell: Tell, signal?: AbortSignal): Promise<Uint8Array> {
  const key = file.sha256 || encodeURIComponent(address);
  const read = async (): Promise<Uint8Array> => {
    const kept = await Kept.of(base, key);
    for (let last = false; ; last = true) {
      const bytes = new Uint8Array(file.bytes);
      const had = await kept.read(bytes);
      tell(had, kept.holds);
      await download(address, bytes, had, kept, tell, signal);
      if (await isIt(bytes, file)) return bytes;
      await kept.drop();
      if (last) throw new Refused(STRANGE);
    }
  };
  if (!("locks" in navigator)) return read();
  return navigator.locks.request(`galago ${key}`, signal ? { signal } : {}, read) as Promise<Uint8Array>;
}

async function isIt(bytes: Uint8Array, { sha256 }: SiteFile): Promise<boolean> {
  if (!sha256 || !globalThis.crypto?.subtle) return true; // there is no digest without https
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

/** Fetch what is missing of a file behind the first `had` bytes; tries again where the network fails. */
async function download(
  address: string,
  into: Uint8Array,
  had: number,
  kept: Kept,
  tell: Tell,
  signal?: AbortSignal,
): Promise<void> {
  let [done, saved, vain] = [had, had, 0];
  const save = async (): Promise<void> => {
    await kept.add(saved, into.subarray(saved, done));
    saved = done;
  };
  while (done < into.length) {
    const before = done;
    let further = before === 0; // not over the same bytes again
    try {
      const response = await ask(address, done, signal);
      if (response.status === 206) further = true;
      else done = saved = 0; // this host sends whole files only
      for await (const part of chunks(response)) {
        if (done + part.length > into.length) throw new Refused(STRANGE);
        into.set(part, done);
        done += part.length;
        if (done - saved >= PART) await save();
        tell(done, kept.holds);
      }
      if (done <= before) throw new Error("nothing came");
      vain = 0;
    } catch (error) {
      await save();
      if (signal?.aborted) throw signal.reason;
      if (error instanceof Refused) throw error;
      vain = further && done > before ? 1 : vain + 1;
      if (vain >= TRIES) throw new Refused(GONE);
      await new Promise((next) => setTimeout(next, 250 * 2 ** vain));
    }
  }
  await save();
  tell(done, kept.holds);
}

async function ask(address: string, from: number, signal?: AbortSignal): Promise<Response> {
  // It is kept here, so the browser's own cache need not hold it too.
  const headers: Record<string, string> = from ? { Range: `bytes=${from}-` } : {};
  const response = await fetch(address, { headers, signal: signal ?? null, cache: "no-store" });
  if (response.status === 404 || response.status === 403) throw new Refused(STRANGE);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const range = response.headers.get("Content-Range"); // hidden by some hosts from other origins
  if (response.status === 206 && range !== null && !range.startsWith(`bytes ${from}-`)) throw new Refused(STRANGE);
  return response;
}

async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) return;
    yield part.value;
  }
}
