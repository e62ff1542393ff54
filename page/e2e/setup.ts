import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ENVIRONMENT, EXAMPLES, MADE, PYTHON } from "./places";

/** The clip of the fake camera, and an album of the photos in examples/album. */
export default function setup(): void {
  rmSync(MADE, { recursive: true, force: true });
  const run = (...args: string[]) =>
    execFileSync(PYTHON, args, { env: ENVIRONMENT, stdio: ["ignore", "ignore", "inherit"] });
  const pictures = ["note.png", "hand.jpg", "emoji.png"].map((name) => join(EXAMPLES, name));
  run(join(import.meta.dirname, "clip.py"), MADE, ...pictures);
  run("-m", "galago", "index", join(EXAMPLES, "album"));
}
