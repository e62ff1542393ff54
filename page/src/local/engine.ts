/** The engine in this browser: nothing that is shown to it leaves the page. */

import { type Engine, type Loading, type PageInfo, Refused } from "../engine";
import { makeAlbum } from "./album/album";
import { readSite } from "./files";
import type { Site, SiteModel } from "./site";
import { Asking } from "./vlm/asking";

let site: Site | null = null;
let onLoading: (state: Loading) => void = () => {};
const { info, ...album } = makeAlbum({
  site: async () => (site ??= await readSite(document.baseURI)),
  loading: (state) => onLoading(state),
});
const asking = new Map<string, Asking>();

function about(held: Site, model: SiteModel): Asking {
  const known = asking.get(model.id) ?? new Asking(held, model, (state) => onLoading(state));
  asking.set(model.id, known);
  return known;
}

const find = (id: string): SiteModel | undefined => site?.models.find((model) => model.id === id);

async function pageInfo(): Promise<PageInfo> {
  site = await readSite(document.baseURI);
  const model = find(site.default);
  if (model) about(site, model).prepare();
  return {
    version: site.version,
    models: site.models.map(({ id, kind, demo, knows }) => ({ id, kind, demo, knows })),
    default: site.default,
    live: null,
    presets: model?.presets ?? [],
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
  models: null,
  connect: ({ loading }) => void (onLoading = loading),
  pageInfo,
  isAlive: () => Promise.resolve(true),
  frame,
  chat,
  keepSeen: () => Promise.resolve({ kept: false }),
  forgetSeen: () => Promise.resolve(0),
};
