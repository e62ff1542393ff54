import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ENVIRONMENT, MADE, PYTHON } from "./places";

export interface Replies {
  prompts: { text: string; turns: number; ids: number[] }[];
  replies: { picture: string; prompt: string; text: string; doubted: boolean; known: number; tokens: number }[];
  talk: { question: string; text: string }[];
}

/** What galago itself replies, asked once a run. */
export function replies(): Replies {
  const out = join(MADE, "replies.json");
  if (!existsSync(out)) execFileSync(PYTHON, [join(import.meta.dirname, "replies.py"), out], { env: ENVIRONMENT });
  return JSON.parse(readFileSync(out, "utf-8")) as Replies;
}
