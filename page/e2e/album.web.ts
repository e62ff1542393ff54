import AxeBuilder from "@axe-core/playwright";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Locator, Page } from "@playwright/test";
import { ENVIRONMENT, EXAMPLES, MADE, PYTHON, TOP } from "./places";
import { expect, settled, test } from "./site";

const HOME = join(MADE, "handed");
const GARDEN = join(HOME, "Pictures", "2024 Garden");
const environment = { ...ENVIRONMENT, GALAGO_ALBUMS: join(MADE, "handed-albums") };

/** The album that Python makes of the same photos. */
test.beforeAll(() => {
  for (const folder of [HOME, environment.GALAGO_ALBUMS]) rmSync(folder, { recursive: true, force: true });
  execFileSync(PYTHON, [join(import.meta.dirname, "photos.py"), HOME, EXAMPLES], { env: ENVIRONMENT });
  // It ends with 1, as one of the files is damaged.
  const { status } = spawnSync(PYTHON, ["-m", "galago", "index", join(HOME, "Pictures")], { cwd: TOP, env: environment });
  expect(status).toBe(1);
});

/** What the command line finds: names, and whether they match, all of them; what it searched for instead. */
function found(words: string): { photos: { name: string; match: boolean }[]; instead: string | null } {
  const args = ["-m", "galago", "search", words, "--all", "--json", "-k", "24"];
  const lines = execFileSync(PYTHON, args, { cwd: TOP, env: environment, stdio: ["ignore", "pipe", "ignore"] }).toString();
  const records = lines.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line) as { path?: string; match?: boolean; searched_for?: string });
  const photos = records.flatMap(({ path, match }) => (path === undefined ? [] : [{ name: path.split("/").pop() ?? "", match: match ?? false }]));
  return { photos, instead: records[0]?.searched_for ?? null };
}

/**
 * A photo and its smaller copy have scores within 0.001 of each other, which weights in 8 bits may turn round. Of
 * one content in two files the first by its path is shown, and single files have no folders.
 */
const plainly = (name: string): string => name.replace(/ \(small\)| it's a copy/, "");

const open = async (page: Page, url: string): Promise<void> => {
  await page.goto(`${url}#album`);
  await page.getByRole("tab", { name: "Add photos" }).click();
};

const isFirefox = (page: Page): boolean => page.context().browser()?.browserType().name() === "firefox";

/** As a browser without a picker of folders hands one over, whole; what drives Firefox knows files alone. */
async function hand(page: Page): Promise<void> {
  const folder = join(HOME, "Pictures");
  if (!isFirefox(page)) return page.locator("#files-folder").setInputFiles(folder);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  await page.locator("#files-photos").setInputFiles(files.map(({ parentPath, name }) => join(parentPath, name)));
}

async function search(page: Page, words: string): Promise<void> {
  await page.getByRole("tab", { name: "Search" }).click();
  await page.getByRole("searchbox", { name: "Words" }).fill(words);
  await page.keyboard.press("Enter");
  await expect(page.locator("#found")).toHaveText(/match/, { timeout: 30_000 });
}

const line = (page: Page) => page.locator("#run-line");
const DONE = "10 photos in the album · 9 new · 1 known by their content · 1 can't be read";

test("a folder is handed over, searched as the command line does, and still there after a reload, offline too", async ({ page, host, context }) => {
  test.setTimeout(240_000);
  await open(page, host.url);
  await expect(page.getByRole("tab", { name: "Copies" })).toBeHidden();
  expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id)).toEqual([]);
  await hand(page);
  await expect(line(page)).toHaveText(DONE, { timeout: 120_000 });
  await expect(page.locator("#run-unread li")).toContainText("damaged.jpg: it is no picture that this browser can open");
  await expect(page.locator("#files-kept-line")).toContainText("10 photos");
  for (const words of ["a banana", "carrots", "a flower", "找一张红色的花的照片", "香蕉鬽"]) {
    await search(page, words);
    const { photos: expected, instead } = found(words);
    expect(instead !== null, words).toBe(/[一-鿿]/.test(words));
    if (instead === null) await expect(page.locator("#instead")).toBeHidden();
    else await expect(page.locator("#instead-words")).toHaveText(instead);
    const names = (tiles: Locator): Promise<string[]> => tiles.allTextContents().then((all) => all.map(plainly));
    await page.locator("#rest").evaluate((rest: HTMLDetailsElement) => (rest.open = true));
    const [matches, others] = [true, false].map((match) => expected.filter((one) => one.match === match).map(({ name }) => plainly(name)));
    await expect.poll(() => names(page.locator("#hits .tile > .name")), words).toEqual(matches);
    expect(await names(page.locator("#rest-hits .tile > .name")), words).toEqual(others);
  }
  await expect(page.locator("#found")).toContainText("left out of the query: “鬽”");
  await page.getByRole("button", { name: "Search as typed" }).click();
  await expect(page.locator("#instead")).toBeHidden();
  await expect(page.locator("#found")).toContainText("reads English only");
  await search(page, "a submarine in a harbour at night");
  await expect(page.locator("#found")).toContainText("No photo matches.");
  await settled(page);
  await context.setOffline(true);
  await page.reload();
  await expect(page.locator("#found")).toContainText("10 photos in this browser’s album");
  await search(page, "胡萝卜");
  await expect(page.locator("#instead-words")).toHaveText("carrots");
  await expect(page.locator(".tile").first().locator("img")).toHaveJSProperty("complete", true);
  await page.locator(".tile").first().click();
  await expect(page.locator("#photo-shown")).toBeVisible(); // from what was kept: the file itself is gone
  await context.setOffline(false);
});

test("vectors are Python's, as nearly as weights in 8 bits allow", async ({ page, host }) => {
  test.setTimeout(240_000);
  const names = readdirSync(join(EXAMPLES, "album")).sort();
  await open(page, host.url);
  await page.locator("#files-photos").setInputFiles(names.map((name) => join(EXAMPLES, "album", name)));
  await expect(line(page)).toContainText("16 photos in the album", { timeout: 120_000 });
  const kept = await page.evaluate(async () => {
    const opening = indexedDB.open("galago-album");
    await new Promise((done) => (opening.onsuccess = done));
    const asking = opening.result.transaction("photos").objectStore("photos").getAll();
    await new Promise((done) => (asking.onsuccess = done));
    return (asking.result as { path: string; vector: Float32Array }[]).map(({ path, vector }) => ({ path, vector: [...vector] }));
  });
  const script = `
import json, sys, galago
clip = galago.MobileCLIP.load("mobileclip2-nano", precision="fp32")
print(json.dumps(clip.embed_images(sys.argv[1:]).tolist()))`;
  const paths = names.map((name) => join(EXAMPLES, "album", name));
  const rows = JSON.parse(execFileSync(PYTHON, ["-c", script, ...paths], { cwd: TOP, env: environment }).toString()) as number[][];
  const cosines = names.map((name, at) => {
    const { vector } = kept.find(({ path }) => path === name)!;
    return vector.reduce((sum, value, i) => sum + value * rows[at]![i]!, 0);
  });
  console.log(`least cosine with Python's: ${Math.min(...cosines).toFixed(5)}`);
  expect(Math.min(...cosines)).toBeGreaterThan(0.999);
});

test("indexing stops, goes on without what is known, and is seen in another tab", async ({ page, host, context }) => {
  test.setTimeout(240_000);
  await open(page, host.url);
  await hand(page);
  const other = await context.newPage();
  await open(other, host.url);
  await expect(other.locator("#run-title")).toHaveText(isFirefox(page) ? "Photos for the album" : "Photos from Pictures");
  await expect(other.locator("#files-open")).toBeDisabled();
  await other.getByRole("button", { name: "Stop" }).click();
  await expect(line(page)).toHaveText(/^(Stopped|10 photos)/, { timeout: 60_000 });
  await other.close();
  await page.bringToFront();
  await hand(page);
  await expect(line(page)).toContainText("10 photos in the album", { timeout: 120_000 });
  await hand(page);
  await expect(line(page)).toHaveText("10 photos in the album · 0 new · 10 unchanged · 1 can't be read", { timeout: 60_000 });
});

test("the album is emptied when the person says so twice", async ({ page, host }) => {
  test.setTimeout(240_000);
  await open(page, host.url);
  const names = readdirSync(GARDEN).filter((name) => name !== "damaged.jpg").slice(0, 2);
  await page.locator("#files-photos").setInputFiles(names.map((name) => join(GARDEN, name)));
  await expect(line(page)).toContainText("2 photos in the album", { timeout: 120_000 });
  await page.getByRole("button", { name: "Empty the album" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator("#files-kept-line")).toContainText("2 photos");
  await page.getByRole("button", { name: "Empty the album" }).click();
  await page.locator("#forget-go").click();
  await expect(page.locator("#files-kept")).toBeHidden();
  await page.getByRole("tab", { name: "Search" }).click();
  await expect(page.locator("#album-none")).toContainText("There is no album yet.");
  expect(existsSync(join(GARDEN, names[0]!))).toBe(true);
});

test("a browser without room says so, and keeps what there was", async ({ page, host }) => {
  test.setTimeout(240_000);
  await open(page, host.url);
  const names = readdirSync(GARDEN).filter((name) => name !== "damaged.jpg");
  await page.locator("#files-photos").setInputFiles(join(GARDEN, names[0]!));
  await expect(line(page)).toContainText("1 photos in the album", { timeout: 120_000 });
  // Chromium's own limits by DevTools don't hold for small amounts: what it throws is thrown here.
  await page.evaluate(() => {
    const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (this: IDBObjectStore, ...args) {
      if (this.name === "pictures") throw new DOMException("full", "QuotaExceededError");
      return put.apply(this, args);
    };
  });
  await page.locator("#files-photos").setInputFiles(names.slice(1).map((name) => join(GARDEN, name)));
  await expect(line(page)).toContainText("this browser has no more room for the album", { timeout: 60_000 });
  await page.reload();
  await expect(page.locator("#found")).toContainText("1 photos");
});
