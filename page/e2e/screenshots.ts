import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, history, test } from "./galago";
import { indexPictures, test as newcomers } from "./newcomer";
import { nameCamera } from "./likeness";
import { EXAMPLES, TOP } from "./places";

/** The views as docs/screenshots shows them; `make screenshots` writes them anew. */
const LOOKS = [
  { name: "desktop", width: 1280, height: 860, settings: { theme: "light" } },
  { name: "dark", width: 1280, height: 860, settings: { theme: "dark" } },
  { name: "contrast", width: 1280, height: 860, settings: { theme: "dark", contrast: "more" } },
  { name: "chinese", width: 1280, height: 860, settings: { theme: "light", language: "zh" } },
  { name: "phone", width: 390, height: 844, settings: { theme: "light" } },
];

/** A moving picture: so many frames, so many milliseconds apart (webp.py joins them). */
const MOVING = { frames: 26, every: 600 };

for (const look of LOOKS) {
  test(look.name, async ({ page, galago }) => {
    await page.addInitScript((chosen) => localStorage.setItem("galago", JSON.stringify(chosen)), look.settings);
    await page.addInitScript(nameCamera);
    await page.setViewportSize({ width: look.width, height: look.height });
    const keep = async (view: string) => {
      await page.evaluate(() => scrollTo(0, 0));
      const path = join(TOP, "docs/screenshots", `${view}-${look.name}.png`);
    await page.screenshot({ path, fullPage: view !== "live" && look.name !== "phone" });
    };
    await live(page, galago.url);
    await keep("live");
    await picture(page, galago.url);
    await keep("picture");
    await album(page, galago.url);
    await keep("album");
  });
}

for (const look of LOOKS.filter(({ name }) => name === "desktop" || name === "phone")) {
  test(`remember ${look.name}`, async ({ page, serve }) => {
    await page.addInitScript((chosen) => localStorage.setItem("galago", JSON.stringify(chosen)), look.settings);
    await page.addInitScript(nameCamera);
    await page.setViewportSize({ width: look.width, height: look.height });
    const galago = await serve("--remember", "--keep", "7d", "--album", `door-${look.name}`);
    await page.goto(galago.url);
    await page.locator("#remember").check();
    await page.locator("#go").click();
    await expect(page.locator("#remember-count")).toHaveText(/^[4-9] remembered$/, { timeout: 40_000 });
    const path = join(TOP, "docs/screenshots", `remember-${look.name}.png`);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path, fullPage: look.name === "phone" });
    await page.locator("#forget-hour").click(); // the next run begins without
    await expect(page.locator("#remember-told")).not.toBeEmpty();
  });

  newcomers(`album work, ${look.name}`, async ({ page, newcomer }) => {
    await page.addInitScript((chosen) => localStorage.setItem("galago", JSON.stringify(chosen)), look.settings);
    await page.setViewportSize({ width: look.width, height: look.height });
    const keep = async (view: string) => {
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(TOP, "docs/screenshots", `${view}-${look.name}.png`) });
    };
    // Of a run that is under way, whatever this computer's pace is.
    await page.route("**/api/index", async (route) => {
      const state = (await (await route.fetch()).json()) as object;
      const run = { running: true, number: 1, folders: ["/home/ann/Pictures"], stage: "indexing", album: ["/home/ann/Pictures"] };
      const far = { done: 1720, total: 5210, rate: 8.3, left: 420, bad: 1, unread: [{ path: "/home/ann/Pictures/2019/IMG_0412.jpg", reason: "cut short" }] };
      await route.fulfill({ json: { ...state, ...run, ...far } });
    });
    await page.route("**/api/folders", async (route) => {
      const told = JSON.stringify(await (await route.fetch()).json());
      await route.fulfill({ json: JSON.parse(told.replaceAll(newcomer.home, "/home/ann")) as object });
    });
    indexPictures(newcomer);
    await page.goto(`${newcomer.galago.url}#album`);
    await page.locator("#tab-add").click();
    await page.locator("#choose summary").click();
    await expect(page.locator("#choose-list button").first()).toBeVisible();
    await keep("adding");
    await page.locator("#tab-copies").click();
    await page.locator("#compare").click();
    await expect(page.locator("#copies .group").first()).toBeVisible({ timeout: 60_000 });
    await page.waitForTimeout(1500); // for the last thumbnails
    await page.locator("#copies-mark").click();
    await page.evaluate((home) => {
      for (const place of document.querySelectorAll(".place")) {
        place.textContent = (place.textContent ?? "").replace(home, "/home/ann");
      }
    }, newcomer.home);
    await keep("copies");
    await page.unrouteAll({ behavior: "ignoreErrors" });
  });
}

test("moving", async ({ page, galago }) => {
  await page.addInitScript(nameCamera);
  await page.addInitScript(() => localStorage.setItem("galago", JSON.stringify({ theme: "light" })));
  await page.setViewportSize({ width: 1040, height: 720 });
  await page.goto(galago.url);
  await page.locator("#go").click();
  await expect.poll(async () => (await history(page)).length, { timeout: 25_000 }).toBeGreaterThan(1);
  const began = Date.now();
  for (let frame = 0; frame < MOVING.frames; frame++) {
    await page.waitForTimeout(Math.max(0, began + frame * MOVING.every - Date.now()));
    const path = join(TOP, `docs/screenshots/live-moving-${String(frame).padStart(3, "0")}.png`);
    await page.screenshot({ path });
  }
});

async function live(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.locator("#go").click();
  await expect.poll(async () => (await history(page)).length, { timeout: 25_000 }).toBeGreaterThan(3);
}

async function picture(page: Page, url: string): Promise<void> {
  await page.goto(`${url}#picture`);
  await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "note.png"));
  const answered = async (count: number) => {
    await expect(page.locator("#chat .answer")).toHaveCount(count);
    await expect(page.locator("#chat [aria-busy]")).toHaveCount(0);
  };
  await page.locator("#asks button").nth(0).click();
  await answered(1);
  await page.locator("#asks button").nth(2).click();
  await answered(2);
}

async function album(page: Page, url: string): Promise<void> {
  await page.goto(`${url}#album`);
  await page.locator("#find-text").fill("fruit");
  await page.keyboard.press("Enter");
  await expect(page.locator("#hits li").first()).toBeVisible();
  await page.locator("#labels-text").fill("banana, lemon, mushroom, dress");
  await page.locator("#labels-file").setInputFiles(join(EXAMPLES, "album", "IMG_1041.jpg"));
  await expect(page.locator("#shares li")).toHaveCount(4);
  await page.waitForTimeout(500); // for the last thumbnails
}
