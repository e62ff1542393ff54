/** The server's side of what takes long: indexing folders, and looking for copies. */

import type { CopiesState, FolderList, IndexState } from "../engine";
import { json } from "./calls";

/** How far indexing is. */
export const indexState = (): Promise<IndexState> => json("api/index");

/** Begin to index a folder; null: look again at those of the album. */
export const startIndex = (folder: string | null): Promise<IndexState> => json("api/index", { folder });

export const stopIndex = (): Promise<IndexState> => json("api/index", undefined, undefined, "DELETE");

/** What lies in a folder; null is the home folder. */
export const foldersIn = (path: string | null): Promise<FolderList> => json("api/folders", { path });

/** Begin to look for copies; `alike`: also for what is alike without being one. */
export const compare = (alike: boolean): Promise<CopiesState> => json("api/duplicates", { alike });

/** So many groups of what was found, from one on. */
export const copiesFound = (first: number, count: number): Promise<CopiesState> =>
  json(`api/duplicates?first=${first}&count=${count}`);

export const stopComparing = (): Promise<CopiesState> =>
  json("api/duplicates", undefined, undefined, "DELETE");
