/** Where the models run, so that the page never freezes. */

import { expose } from "comlink";
import { Desk } from "./vlm/desk";

const work = { vlm: new Desk() };

export type Work = typeof work;

expose(work);
