import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Galago, test as base } from "./galago";
import { ENVIRONMENT, EXAMPLES, PYTHON, TOP } from "./places";

/** A server of somebody who has photos in the home folder, and no album yet. */
export interface Home {
  galago: Galago;
  home: string;
  albums: string;
}

export const test = base.extend<{ newcomer: Home }>({
  newcomer: async ({}, use) => {
    const home = mkdtempSync(join(tmpdir(), "galago-home-"));
    execFileSync(PYTHON, [join(import.meta.dirname, "photos.py"), home, EXAMPLES]);
    const albums = join(home, ".albums");
    const galago = new Galago([], { HOME: home, GALAGO_ALBUMS: albums, GALAGO_CACHE: join(home, ".cache") });
    await galago.start();
    await use({ galago, home, albums });
    await galago.stop();
    rmSync(home, { recursive: true });
  },
});

/** As the command line does it. */
export function indexPictures({ home, albums }: Home): void {
  const index = ["-m", "galago", "index", join(home, "Pictures")];
  try {
    execFileSync(PYTHON, index, { env: { ...ENVIRONMENT, GALAGO_ALBUMS: albums }, cwd: TOP, stdio: "ignore" });
  } catch {
    // Exit code 1: one of them can't be read.
  }
}
