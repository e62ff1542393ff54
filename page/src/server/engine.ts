/** The engine behind `galago serve`'s page: the server that handed it out. */

import type { Engine } from "../engine";
import { toJpeg } from "../image-file";
import * as album from "./album";
import * as calls from "./calls";

const SIDE = 1024; // pixels; what FastVLM looks at

export const engine: Engine = {
  ...calls,
  ...album,
  here: false,
  folders: album,
  files: null,
  copies: album,
  models: null,
  frame: (video) => toJpeg(video, video.videoWidth, video.videoHeight, SIDE),
};
