/** The server's side of what takes long: indexing folders, and looking for copies. */

import { json } from "./api";

export interface IndexState {
  refusal: string | null; // why this visitor may not index
  running: boolean;
  number: number; // of the run, counted since the server began
  folders: string[];
  stage: string | null;
  waiting: boolean; // for another galago
  done: number;
  total: number; // 0 until it is known
  rate: number | null; // files a second
  left: number | null; // seconds
  bad: number;
  unread: { path: string; reason: string }[]; // the first of them
  stopped: boolean;
  result: {
    photos: number;
    new: number;
    known: number;
    unchanged: number;
    gone: number;
    bad: number;
    seconds: number;
  } | null;
  problem: string | null;
  album: string[]; // its folders so far
}

export interface Folder {
  name: string;
  path: string; // exact: to be sent back as it is
}

export interface FolderList {
  path: string;
  up: string | null;
  folders: Folder[];
  pictures: number;
  more: boolean;
  places: Folder[];
}

export interface CopyOfPhoto {
  id: number | null; // null: it left the album
  path: string; // exact: half characters stand for bytes that are no text
  name: string;
  folder: string;
  bytes: number;
  width: number | null;
  height: number | null;
  time: string | null; // "YYYY-MM-DD HH:MM:SS"
  by_camera: boolean;
  likeness: number;
  same: boolean; // the first one's content
  gone: boolean;
  most: boolean; // pixels of its group
  oldest: boolean;
}

export interface Group {
  photos: CopyOfPhoto[];
  more: number; // that are not shown
}

export interface CopiesState {
  running: boolean;
  share: number;
  number: number;
  found: boolean;
  stopped: boolean;
  problem: string | null;
  groups: Group[];
  first: number;
  count: number; // of groups
  photos: number;
  alike: number;
  note: string | null;
  seconds: number;
}

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
