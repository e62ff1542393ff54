/** The files beside this page: `site.json`, and what models consist of. */

import type { Site, SiteModel } from "./site";

/** How far a model is: bytes of all its files that are asked for. */
export type OnBytes = (done: number, total: number) => void;

async function get(address: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error(`${address}: HTTP ${response.status}`);
  return response;
}

export const readSite = async (base: string): Promise<Site> =>
  (await (await get(new URL("site.json", base).href)).json()) as Site;

/** Read files of a model, `base` being the page's address; in the order of `paths`. */
export async function readFiles(
  base: string,
  model: Pick<SiteModel, "folder" | "files">,
  paths: readonly string[],
  onBytes: OnBytes = () => {},
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  const folder = new URL(model.folder, base);
  const sizes = paths.map((path) => model.files.find((file) => file.path === path)?.bytes ?? 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  const found: Uint8Array[] = [];
  for (const path of paths) {
    const response = await get(new URL(path, folder).href, signal);
    const parts: Uint8Array[] = [];
    const reader = response.body?.getReader();
    for (;;) {
      const part = await reader?.read();
      if (!part || part.done) break;
      parts.push(part.value);
      done += part.value.length;
      onBytes(done, total);
    }
    found.push(new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()));
  }
  return found;
}
