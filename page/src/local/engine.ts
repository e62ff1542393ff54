/** The engine in this browser. A first state, which opens the page; nothing answers yet. */

import { type Engine, type PageInfo, Refused } from "../engine";
import { readSite } from "./files";

const none = (): Promise<never> => Promise.reject(new Refused("nothing answers here yet"));

async function pageInfo(): Promise<PageInfo> {
  const site = await readSite(document.baseURI);
  const model = site.models.find(({ id }) => id === site.default);
  return {
    version: site.version,
    models: site.models.map(({ id, kind, demo, knows }) => ({ id, kind, demo, knows })),
    default: site.default,
    live: null,
    presets: model?.presets ?? [],
    album: null,
    album_problem: null,
    remember: null,
    languages: site.languages,
  };
}

export const engine: Engine = {
  here: true,
  folders: null,
  files: null,
  copies: null,
  models: null,
  connect: () => {},
  pageInfo,
  isAlive: () => Promise.resolve(true),
  frame: () => "",
  chat: none,
  classify: none,
  searchAlbum: none,
  sights: none,
  indexState: none,
  stopIndex: none,
  photo: none,
  keepSeen: none,
  forgetSeen: none,
};
