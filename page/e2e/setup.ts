import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ANSWERS, ENVIRONMENT, EXAMPLES, FRAMES, MADE, PYTHON } from "./places";

/** Words as they are compared: without a look at case and blanks. */
export const plain = (text: string): string => text.toLowerCase().split(/\s+/).join(" ").trim();

/**
 * The clip of the fake camera, an album of the photos in examples/album, and what the command line
 * says about the pictures: the page must say the same.
 */
export default function setup(): void {
  rmSync(MADE, { recursive: true, force: true });
  const run = (...args: string[]): string =>
    execFileSync(PYTHON, args, { env: ENVIRONMENT, stdio: ["ignore", "pipe", "ignore"] }).toString();
  const pictures = ["note.png", "hand.jpg", "emoji.png"].map((name) => join(EXAMPLES, name));
  run(join(import.meta.dirname, "clip.py"), MADE, ...pictures);
  run("-m", "galago", "index", join(EXAMPLES, "album"));
  const answers: Record<string, Record<string, string>> = {};
  const asked = [...FRAMES, ...pictures];
  for (const preset of ["describe", "read", "count"]) {
    const lines = run("-m", "galago", "describe", ...asked, "--preset", preset, "--json").trim().split("\n");
    const texts = lines.map((line) => plain((JSON.parse(line) as { text: string }).text));
    answers[preset] = Object.fromEntries(asked.map((path, index) => [path, texts[index] ?? ""]));
  }
  writeFileSync(ANSWERS, JSON.stringify(answers));
}
