// The sheets of pictures that the command line writes: a file of their own, in both themes.
import AxeBuilder from "@axe-core/playwright";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "@playwright/test";
import { ENVIRONMENT, EXAMPLES, PYTHON, TOP } from "./places";

const MADE = `
import sys
from galago.album.sheet import grouped_sheet
lines = ["What is this?", "right: a", "said: b"]
photos = [(path, lines) for path in sys.argv[1:]]
sheet = grouped_sheet("model, fp32", [("Wrong answers", photos)], "2 of 9", linked=lambda path: "tar" not in path)
sys.stdout.write("".join(sheet))
`;

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing on a sheet, and pictures stay in their frames: ${colorScheme}`, async ({ page }) => {
    const photos = [join(EXAMPLES, "note.png"), join(EXAMPLES, "object.jpg"), "/nowhere/gone.jpg", "member of a tar.jpg"];
    const sheet = execFileSync(PYTHON, ["-c", MADE, ...photos], { cwd: TOP, env: ENVIRONMENT });
    const file = join(mkdtempSync(join(tmpdir(), "galago-sheet-")), "worst.html");
    writeFileSync(file, sheet);
    await page.emulateMedia({ colorScheme });
    await page.goto(pathToFileURL(file).href);
    await expect(page.locator("figure")).toHaveCount(photos.length);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    for (const frame of await page.locator(".frame:has(img)").all()) {
      const [outer, inner] = [await frame.boundingBox(), await frame.locator("img").boundingBox()];
      expect(inner!.height).toBeLessThanOrEqual(outer!.height);
      expect(inner!.width).toBeLessThanOrEqual(outer!.width);
    }
  });
}
