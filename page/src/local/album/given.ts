/** Files and folders as a person hands them over. */

import type { Given } from "../../engine";

const PICTURES = /\.(jpe?g|jpe|jfif|png|webp|gif|bmp|avif|heic|heif|tiff?|jxl)$/i;

/** Whether a file calls itself a picture: by its type, or by its name where the browser knows no type. */
export const looksLikePicture = ({ name, type }: File): boolean => type.startsWith("image/") || PICTURES.test(name);

type Handle = FileSystemDirectoryHandle | FileSystemFileHandle;

interface Opened extends FileSystemDirectoryHandle {
  values(): AsyncIterableIterator<Handle>;
}

/** What can't be read of a folder. */
export interface Unread {
  path: string;
  reason: string;
}

/** The pictures of a folder and of those in it, hidden ones left out. */
export async function* picturesIn(
  folder: FileSystemDirectoryHandle, path: string, unread: (one: Unread) => void,
): AsyncGenerator<Given> {
  const found: Handle[] = [];
  try {
    for await (const one of (folder as Opened).values()) found.push(one);
  } catch (error) {
    unread({ path, reason: error instanceof Error ? error.message : String(error) });
    return;
  }
  found.sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const one of found) {
    if (one.name.startsWith(".")) continue;
    const place = `${path}/${one.name}`;
    if (one.kind === "directory") yield* picturesIn(one, place, unread);
    else if (PICTURES.test(one.name)) {
      try {
        yield { file: await one.getFile(), path: place };
      } catch (error) {
        unread({ path: place, reason: error instanceof Error ? error.message : String(error) });
      }
    }
  }
}

/** A file of a kept folder by its path, which begins with the folder's name; null when it is gone or not allowed. */
export async function fileAt(folder: FileSystemDirectoryHandle, path: string): Promise<File | null> {
  const [, ...names] = path.split("/");
  const name = names.pop();
  try {
    if (name === undefined || (await permission(folder, false)) !== "granted") return null;
    let at = folder;
    for (const next of names) at = await at.getDirectoryHandle(next);
    return await (await at.getFileHandle(name)).getFile();
  } catch {
    return null;
  }
}

interface Asking {
  queryPermission(how: { mode: "read" }): Promise<PermissionState>;
  requestPermission(how: { mode: "read" }): Promise<PermissionState>;
}

/** Whether a kept folder may be read; `ask`: the person is asked, which needs a click just before. */
export async function permission(folder: FileSystemDirectoryHandle, ask: boolean): Promise<PermissionState> {
  const handle = folder as unknown as Asking;
  const state = await handle.queryPermission({ mode: "read" });
  return state === "prompt" && ask ? handle.requestPermission({ mode: "read" }) : state;
}

interface Picker {
  showDirectoryPicker?: (how: { id: string; mode: "read" }) => Promise<FileSystemDirectoryHandle>;
}

export const canPick = (): boolean => (globalThis as Picker).showDirectoryPicker !== undefined;

/** Let the person choose a folder; null when none was. */
export async function pick(): Promise<FileSystemDirectoryHandle | null> {
  try {
    return (await (globalThis as Picker).showDirectoryPicker?.({ id: "photos", mode: "read" })) ?? null;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return null;
    throw error;
  }
}
