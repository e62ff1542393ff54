import { join } from "node:path";
import { nameCamera } from "./likeness";
import { EXAMPLES, NOTE, TOP } from "./places";
import { expect, test } from "./site";

/** The page without a server as docs/screenshots shows it; `make screenshots` writes it anew. */
const LOOKS = [
  { name: "desktop", width: 1280, height: 860 },
  { name: "phone", width: 390, height: 844 },
];

for (const { name, width, height } of LOOKS) {
  test(`without a server, ${name}`, async ({ page, host }) => {
    test.setTimeout(300_000);
    await page.addInitScript(() => localStorage.setItem("galago", JSON.stringify({ theme: "light" })));
    await page.addInitScript(nameCamera);
    await page.setViewportSize({ width, height });
    const keep = async (view: string) => {
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(TOP, "docs/screenshots", `web-${view}-${name}.png`) });
    };
    await page.goto(host.url);
    await page.locator("#go").click();
    await expect(page.locator("#history > li").nth(1)).toBeVisible({ timeout: 90_000 });
    await keep("live");
    await page.goto(`${host.url}#picture`);
    await page.locator("#picture-file").setInputFiles(NOTE);
    await page.getByRole("button", { name: "Read", exact: true }).click();
    await expect(page.locator("#chat .small-text")).toBeVisible({ timeout: 75_000 });
    await keep("picture");
    await page.goto(`${host.url}#album`);
    await page.locator("#tab-add").click();
    await page.locator("#files-folder").setInputFiles(join(EXAMPLES, "album"));
    await expect(page.locator("#run-line")).toHaveText(/photos in the album/, { timeout: 120_000 });
    await keep("adding");
    await page.locator("#tab-find").click();
    await page.locator("#find-text").fill("a banana");
    await page.locator("#find-text").press("Enter");
    await expect(page.locator("#hits .tile").first()).toBeVisible({ timeout: 60_000 });
    await keep("album");
  });
}
