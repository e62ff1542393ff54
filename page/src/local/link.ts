/** The worker in which the models run, begun when it is first needed. */

import { type Remote, wrap } from "comlink";
import type { Work } from "./worker";

/** Each part of it from afar. */
type Far = { [Part in keyof Work]: Remote<Work[Part]> };

let begun: Far | null = null;

export function worker(): Far {
  begun ??= wrap(new Worker(new URL("worker.ts", import.meta.url), { type: "module", name: "galago" })) as unknown as Far;
  return begun;
}
