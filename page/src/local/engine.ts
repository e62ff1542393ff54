/** The engine in this browser: nothing that is shown to it leaves the page. */

import { type Engine, type Loading, type PageInfo, Refused } from "../engine";
import { makeAlbum } from "./album/album";
import { readSite } from "./files";
import { type Chosen, LocalModels } from "./models";
import { keepPage } from "./offline";
import type { Site } from "./site";
import { Asking } from "./vlm/asking";

let site: Site | null = null;
let onLoading: (state: Loading) => void = () => {};
let onFell = (): void => {};
const loading = (state: Loading): void => onLoading(state);
const held = async (): Promise<Site> => (site ??= await readSite(document.baseURI));
const { info, ...album } = makeAlbum({ site: held, loading });
const models = new LocalModels({ base: document.baseURI, site: held, loading });
const asking = new Map<string, Asking>();
let stays: Promise<void> = Promise.resolve(); // the page, as it is
let tidied = false;

function about(held: Site, { model, given }: Chosen): Asking {
  const key = `${model.folder} ${model.id}`;
  const known = asking.get(key) ?? new Asking(held, model, given, loading, () => onFell());
  asking.set(key, known);
  return known;
}

function find(id: string): Chosen | null {
  const { answering } = models;
  if (answering?.model.id === id) return answering;
  const model = site?.models.find((model) => model.id === id);
  return model ? { model, given: null } : null;
}

async function pageInfo(): Promise<PageInfo> {
  const found = await readSite(document.baseURI);
  site = found;
  if (!tidied) void models.tidy().catch(() => {}); // the next visit does it, then
  tidied = true;
  const answering = models.answering ?? find(site.default);
  if (answering) void stays.then(() => about(found, answering).prepare());
  const all = [...site.models, ...(models.answering ? [models.answering.model] : [])];
  return {
    version: site.version,
    models: all.map(({ id, kind, demo, knows }) => ({ id, kind, demo, knows })),
    default: answering?.model.id ?? site.default,
    live: null,
    presets: answering?.model.presets ?? [],
    ...(await info()),
    remember: null,
    languages: site.languages,
  };
}

/** All the pixels of the frame a video shows now: the model's square is made of them. */
function frame(video: HTMLVideoElement): ImageData {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Refused("this browser has no canvas");
  context.drawImage(video, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

const chat: Engine["chat"] = async (id, messages, onText, signal) => {
  const model = find(id);
  if (!site || !model) throw new Refused(`there is no model ${id} here`);
  return about(site, model).chat(messages, onText, signal);
};

export const engine: Engine = {
  ...album,
  here: true,
  folders: null,
  copies: null,
  models,
  connect({ loading, fell }) {
    onLoading = loading;
    onFell = fell;
    stays = keepPage();
  },
  pageInfo,
  isAlive: () => Promise.resolve(true),
  frame,
  chat,
  keepSeen: () => Promise.resolve({ kept: false }),
  forgetSeen: () => Promise.resolve(0),
};
