/** Where the models run, so that the page never freezes. */

import { expose } from "comlink";
import { Clip } from "./clip/clip";
import { Desk } from "./vlm/desk";

const work = { vlm: new Desk(), clip: new Clip() };

export type Work = typeof work;

expose(work);
