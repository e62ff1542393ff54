import { join, resolve } from "node:path";

export const TOP = resolve(import.meta.dirname, "../..");
export const EXAMPLES = join(TOP, "examples");
export const MADE = join(import.meta.dirname, "made"); // by setup.ts, never committed
export const CLIP = join(MADE, "clip.y4m");
export const FRAMES = ["note", "hand", "emoji"].map((name) => join(MADE, `${name}.png`));
export const NOTE = join(EXAMPLES, "note.png");
export const ANSWERS = join(MADE, "answers.json"); // of the command line
export const PYTHON = process.env.PYTHON ?? join(TOP, ".venv/bin/python");
export const ENVIRONMENT = {
  ...process.env,
  PYTHONPATH: TOP,
  GALAGO_ALBUMS: join(MADE, "albums"),
  HF_HUB_OFFLINE: "1",
};
