/**
 * What the views ask for, whoever answers: the server (src/server) or this browser (src/local).
 * `#engine` is one of the two, chosen when the page is built.
 */

export interface Model {
  id: string;
  kind: string;
  demo: boolean;
  knows: string;
}

/** A ready question; not `possible`: the model was never taught it. */
export interface Preset {
  id: string;
  prompt: string;
  possible: boolean;
}

/** A language to translate into: its name in English, its code, what else it is called, by itself first. */
export interface Language {
  name: string;
  code: string;
  called: string[];
}

export interface PageInfo {
  version: string;
  models: Model[];
  default: string;
  live: string | null; // a quicker model for live pictures
  presets: Preset[];
  album: { name: string; photos: number; model: string; folders: string[] } | null;
  album_problem: string | null; // why there is an album that can't be searched
  remember: { keep_seconds: number | null } | null; // whether what a camera sees may be kept
  languages: Language[];
}

export interface Hit {
  score: number | null; // null: texts or dates alone were asked for
  match: boolean;
  close: boolean; // far better than a match must be
  name: string;
  path: string;
  id: number;
  copies?: number; // further files of the same picture
  taken?: string; // "2025-06-14 18:30:05"
  taken_by?: "camera" | "file";
  text?: string | null; // a line with the words that were looked for
  text_kind?: string | null; // read (in the picture), or caption
  caption?: string | null; // what was said of it when a camera saw it
}

export interface Found {
  hits: Hit[];
  note?: string | null; // what the server remarks
  searched_for?: string | null; // the words in English, where that isn't what was typed
  strange?: string[]; // words that the model was never taught
}

/** A photo in words: what it probably shows; the day of its file, null when that is gone. */
export interface Sight {
  id: number;
  words: string[];
  day: string | null;
}

export interface Query {
  text?: string;
  image?: string; // a data URL, as every picture here
  minus?: string;
  folder?: string;
  since?: string;
  until?: string;
  text_only?: boolean;
  k?: number;
  as_is?: boolean; // the words as they were typed, in any language
}

/** A picture to look at: a data URL, or the pixels of a camera's frame. */
export type Seen = string | ImageData;

type Part = { type: "text"; text: string } | { type: "image_url"; image_url: { url: Seen } };
export type Message = { role: "user" | "assistant"; content: string | Part[] };

/** Shares of labels; what the model says of a picture, and marks of labels, that it was never taught. */
export interface Sorted {
  labels: { label: string; share: number; strange: boolean }[];
  doubt: string | null;
}

export interface Answer {
  text: string;
  firstToken: number; // seconds from asking to the first words, as the person waited
  doubt: string | null;
}

/** The server said no; the message is for people. */
export class Refused extends Error {}

/** The server has too much to do; worth another try after `wait` seconds. */
export class Busy extends Refused {
  constructor(
    message: string,
    readonly wait: number,
  ) {
    super(message);
  }
}

/** Nobody answers. */
export class Lost extends Error {}

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

/** True for what an AbortController of ours has stopped. */
export const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

/** What the last message of a user asks about a picture: the picture, then the words. */
export const withPicture = (picture: Seen, text: string): Message => ({
  role: "user",
  content: [
    { type: "image_url", image_url: { url: picture } },
    { type: "text", text },
  ],
});

/** Folders of the computer that answers: indexed by their paths. */
export interface Folders {
  /** Begin to index a folder; null: look again at those of the album. */
  startIndex(folder: string | null): Promise<IndexState>;
  /** What lies in a folder; null is the home folder. */
  foldersIn(path: string | null): Promise<FolderList>;
}

/** A file to index, and where it lies: "Holiday/beach/1.jpg", or its name alone. */
export interface Given {
  file: File;
  path: string;
}

/** What this browser keeps of an album. */
export interface Kept {
  photos: number;
  bytes: number; // of small pictures and vectors
  previews: number; // the most bytes that larger previews may take
}

/** Files that the person hands over. Indexing goes on while the page is open. */
export interface Files {
  readonly canOpen: boolean; // a folder can be kept, and looked at again
  /** Begin to index files. */
  add(given: readonly Given[]): Promise<IndexState>;
  /** Let the person choose a folder, and begin; null when none was chosen. */
  open(): Promise<IndexState | null>;
  /** Look again at the folders that are kept, asking for leave; right after a click. */
  again(): Promise<IndexState>;
  kept(): Promise<Kept>;
  /** Take everything out of the album that is kept in this browser. */
  forget(): Promise<void>;
}

/** Looking for copies in the album. */
export interface Copies {
  /** Begin; `alike`: also for what is alike without being one. */
  compare(alike: boolean): Promise<CopiesState>;
  /** So many groups of what was found, from one on. */
  copiesFound(first: number, count: number): Promise<CopiesState>;
  stopComparing(): Promise<CopiesState>;
}

/** What is being fetched or read before it can work, in bytes. */
export interface Loading {
  name: string;
  done: number;
  total: number; // 0: it was called off
  kept: boolean; // false: this browser has no room for it, or keeps nothing
}

/** A model of the hub that the person may fetch. */
export interface HubModel {
  id: string;
  bytes: number; // about
  licence: string;
  host: string; // that is asked for it, and for nothing before
  page: string; // where it is described
}

/** Models beside those that came with the page. One of a folder answers until the page is closed. */
export interface Models {
  readonly hub: readonly HubModel[];
  /** The one that answers; null: the page's own. */
  readonly chosen: string | null;
  /** The page's own that answers. */
  own(): Promise<string>;
  /** Why those of the hub can't run here, for people; null when they can. */
  problem(): Promise<string | null>;
  /** Whether this browser keeps a model of the hub: all of it, a part, or nothing. */
  kept(id: string): "all" | "part" | null;
  /** From now on the model of a folder answers that `galago export` wrote; its name. */
  fromFolder(files: readonly File[]): Promise<string>;
  /** Fetch what this browser lacks of a model of the hub; from now on it answers. */
  fromHub(id: string, signal: AbortSignal): Promise<void>;
  /** Free what this browser keeps of a model of the hub. */
  forget(id: string): Promise<void>;
  /** From now on the page's own model answers again. */
  back(): void;
}

export interface Handlers {
  key: () => Promise<string>;
  lost: () => void;
  loading: (state: Loading) => void;
  fell: () => void; // the graphics processor failed: the processor answers, more slowly
}

/** Errors are Refused, Busy, Lost, or what an AbortController has stopped. */
export interface Engine {
  readonly here: boolean; // the models run in this browser
  readonly folders: Folders | null;
  readonly files: Files | null;
  readonly copies: Copies | null;
  readonly models: Models | null; // null: the server's are all there are
  /** Who asks the person for a key, who is told that nobody answers, and what is being loaded. */
  connect(handlers: Handlers): void;
  pageInfo(): Promise<PageInfo>;
  /** Whether anybody answers at all. */
  isAlive(): Promise<boolean>;
  /** The frame a video shows now, as `chat` takes it. */
  frame(video: HTMLVideoElement): Seen;
  /** Ask, and get the text so far with every piece that arrives. Aborting stops the work. */
  chat(model: string, messages: Message[], onText: (text: string) => void, signal: AbortSignal): Promise<Answer>;
  classify(image: string, labels: string[]): Promise<Sorted>;
  searchAlbum(query: Query, signal: AbortSignal): Promise<Found>;
  sights(ids: number[], signal: AbortSignal): Promise<Sight[]>;
  /** How far indexing is. */
  indexState(): Promise<IndexState>;
  stopIndex(): Promise<IndexState>;
  /** A photo of the album. */
  photo(id: number, side: number, signal?: AbortSignal): Promise<Blob>;
  /** Keep a picture that was described, with its words, in the album. */
  keepSeen(image: Seen, caption: string): Promise<{ kept: boolean }>;
  /** Forget what was kept in the last so many seconds; how many scenes. */
  forgetSeen(last: number): Promise<number>;
}
