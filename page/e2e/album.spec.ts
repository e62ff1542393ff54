import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "./galago";
import { ENVIRONMENT, EXAMPLES, PYTHON, TOP } from "./places";

/** The names of the photos that the command line finds. */
function found(...query: string[]): string[] {
  const args = ["-m", "galago", "search", ...query, "--json", "-k", "24"];
  const lines = execFileSync(PYTHON, args, { cwd: TOP, env: ENVIRONMENT, stdio: ["ignore", "pipe", "ignore"] });
  const records = lines.toString().trim().split("\n").filter(Boolean);
  const paths = records.map((line) => (JSON.parse(line) as { path?: string }).path);
  return paths.flatMap((path) => path?.split("/").pop() ?? []); // a remark has no path
}

test("search by words finds what the command line finds", async ({ page, galago }) => {
  await page.goto(`${galago.url}#album`);
  await expect(page.locator("#found")).toContainText("16 photos");
  await page.getByRole("searchbox", { name: "Words" }).fill("a banana");
  await page.keyboard.press("Enter");
  const expected = found("a banana");
  expect(expected.length).toBeGreaterThan(0);
  await expect(page.locator("#hits .tile > .name")).toHaveText(expected);
  await expect(page.locator("#found")).toHaveText(/^(One photo matches|\d+ photos match)\.$/);
  const image = page.locator("#hits img").first();
  await expect(image).toHaveJSProperty("complete", true);
  await expect.poll(() => image.evaluate((each: HTMLImageElement) => each.naturalWidth)).toBeGreaterThan(0);
});

test("what no photo shows is cut off; the nearest are there for who wants them", async ({ page, galago }) => {
  const words = "a submarine in a harbour at night";
  expect(found(words)).toEqual([]);
  await page.goto(`${galago.url}#album`);
  await page.getByRole("searchbox").fill(words);
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await expect(page.locator("#found")).toContainText("No photo matches. The model was never taught");
  await expect(page.locator("#hits li")).toHaveCount(0);
  await page.getByText(/^The nearest that don't match/).click();
  await expect(page.locator("#rest-hits li").first()).toBeVisible();
});

test("a photo that was found is described for who can't see it, its score in words", async ({ page, galago }) => {
  await page.goto(`${galago.url}#album`);
  await page.getByRole("searchbox", { name: "Words" }).fill("carrots");
  await page.keyboard.press("Enter");
  const tile = page.locator("#hits .tile").filter({ hasText: "IMG_9042.jpg" });
  await expect(tile.locator("img")).toHaveAttribute("alt", /^Probably: carrots/);
  await expect(tile).toHaveAccessibleName(/Probably: carrots.* IMG_9042\.jpg close match/);
  const match = tile.getByText("close match");
  await expect(match).toHaveAttribute("title", /^score 0\.\d{3}$/);
  await expect(page.locator("#hits .tile").filter({ hasText: "IMG_6234.jpg" })).toContainText("possible match");
  await page.locator("#rest summary").click();
  await expect(page.locator("#rest-hits .tile").first()).toContainText("unlikely match");
  // Where no word fits, the day of the file says more than nothing.
  for (const image of await page.locator("#hits img, #rest-hits img").all()) {
    await expect(image).toHaveAttribute("alt", /^Probably: \w|^Photo, its file is of \d+ \w+ \d{4}$/);
  }
  await tile.click();
  await expect(page.locator("#photo-shown")).toHaveAttribute("alt", /^Probably: carrots/);
});

test("photos whose files are gone are told, in the list and when they are opened", async ({ page, galago }) => {
  const gone = { status: 404, json: { error: { message: "the photo can't be shown: a.jpg is not there" } } };
  await page.route("**/api/photo/*", (route) => route.fulfill(gone));
  await page.goto(`${galago.url}#album`);
  await page.getByRole("searchbox").fill("carrots");
  await page.keyboard.press("Enter");
  const tile = page.locator("#hits .tile").first();
  await expect(tile).toContainText("This file can't be opened any more.");
  await tile.click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("the photo can't be shown: a.jpg is not there");
  await expect(dialog.locator("#photo-shown")).toBeHidden();
  await expect(dialog.getByRole("button", { name: "Ask about it" })).toBeDisabled();
});

test("words in Chinese are searched in English, which is shown and can be undone", async ({ page, galago }) => {
  await page.goto(`${galago.url}#album`);
  await page.getByRole("searchbox", { name: "Words" }).fill("一根香蕉");
  await page.keyboard.press("Enter");
  const instead = page.getByRole("status").filter({ hasText: "Searched for:" });
  await expect(instead).toContainText("a banana");
  await expect(instead.locator("q")).toHaveAttribute("lang", "en");
  await expect(page.locator("#hits .tile > .name")).toHaveText(found("a banana"));
  await page.getByRole("button", { name: "Search as typed" }).click();
  await expect(page.locator("#found")).toContainText("reads English only");
  await expect(page.getByText("Searched for:")).toBeHidden();
  await expect(page.getByRole("searchbox", { name: "Words" })).toBeFocused();
});

test("copies stand in one tile, and what the server remarks is shown", async ({ page, galago }) => {
  const remark = "the album's model reads English; words of other languages find little";
  await page.route("**/api/search", async (route) => {
    const found = (await (await route.fetch()).json()) as { hits: object[] };
    const hits = found.hits.map((hit, at) => ({ ...hit, copies: [19, 1, 0][at] }));
    await route.fulfill({ json: { ...found, hits, note: remark } });
  });
  await page.goto(`${galago.url}#album`);
  await page.getByRole("searchbox").fill("fruit");
  await page.keyboard.press("Enter");
  const tiles = page.locator("#hits .tile, #rest-hits .tile");
  await expect(tiles.nth(0)).toContainText("and 19 copies");
  await expect(tiles.nth(1)).toContainText("and one copy");
  await expect(tiles.nth(2)).not.toContainText("cop");
  await expect(tiles.nth(3)).not.toContainText("cop");
  await expect(page.locator("#found")).toContainText(remark);
});

test("search by a picture, and what can be done with a photo", async ({ page, galago }) => {
  const lemon = join(EXAMPLES, "album", "IMG_9385.jpg");
  await page.goto(`${galago.url}#album`);
  await page.locator("#find-file").setInputFiles(lemon);
  await expect(page.locator("#like")).toContainText("Photos like IMG_9385.jpg");
  await expect(page.locator("#hits .tile").first()).toContainText("IMG_9385.jpg");
  await page.locator("#hits .tile").first().click();
  const dialog = page.getByRole("dialog", { name: "IMG_9385.jpg" });
  await expect.poll(() => dialog.locator("img").evaluate((each: HTMLImageElement) => each.naturalWidth)).toBeGreaterThan(0);
  await dialog.getByRole("button", { name: "Ask about it" }).click();
  await expect(page.getByRole("heading", { name: "Ask about a picture" })).toBeFocused();
  await expect(page.getByRole("img", { name: /IMG_9385\.jpg/ })).toBeVisible();
});

test("labels that the person types", async ({ page, galago }) => {
  const banana = join(EXAMPLES, "album", "IMG_6234.jpg");
  await page.goto(`${galago.url}#album`);
  await page.getByRole("button", { name: "Sort", exact: true }).click();
  await expect(page.locator("#labels-said")).toHaveText("Choose a picture and type at least two labels.");
  await page.getByRole("textbox", { name: "Labels" }).fill("dress, banana, mushroom");
  await page.locator("#labels-file").setInputFiles(banana);
  const args = ["-m", "galago", "classify", banana, "--labels", "dress,banana,mushroom"];
  const best = execFileSync(PYTHON, args, { cwd: TOP, env: ENVIRONMENT, stdio: ["ignore", "pipe", "ignore"] });
  await expect(page.locator("#shares li")).toHaveCount(3);
  const label = await page.locator("#shares li span").first().textContent();
  expect(best.toString()).toContain(label ?? "?");
  await page.getByRole("textbox", { name: "Labels" }).fill("banana, hippogriff");
  await page.getByRole("button", { name: "Sort", exact: true }).click();
  await expect(page.locator("#labels-said")).toContainText("The model was never taught hippogriff");
});

test("words that the model was never taught", async ({ page, galago }) => {
  await page.goto(`${galago.url}#album`);
  await page.locator("#find-text").fill("hippogriff");
  await page.keyboard.press("Enter");
  await expect(page.locator("#found .unsure")).toHaveText("The model was never taught hippogriff: what fits there is chance.");
  await page.locator("#find-text").fill("carrots");
  await page.keyboard.press("Enter");
  await expect(page.locator("#found .unsure")).toHaveCount(0);
});

test("a photo that comes late does not take another one's place", async ({ page, galago }) => {
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  let first = true;
  await page.route("**/api/photo/*?side=1024", async (route) => {
    if (first) {
      first = false;
      await held;
    }
    await route.continue();
  });
  await page.goto(`${galago.url}#album`);
  await page.locator("#find-file").setInputFiles(join(EXAMPLES, "album", "IMG_9385.jpg"));
  const tiles = page.locator("#hits .tile, #rest-hits .tile");
  await tiles.nth(0).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("button", { name: "Ask about it" })).toBeDisabled(); // not there yet
  await page.keyboard.press("Escape");
  await page.locator("#rest summary").click();
  await page.locator("#rest-hits .tile").first().click();
  await expect(dialog.getByRole("button", { name: "Ask about it" })).toBeEnabled();
  const shown = await page.locator("#photo-shown").getAttribute("src");
  const late = page.waitForResponse("**/api/photo/*?side=1024");
  release();
  await (await late).finished();
  await page.waitForTimeout(200);
  expect(await page.locator("#photo-shown").getAttribute("src")).toBe(shown);
});

test("by folder and date, without words too, on a phone as well", async ({ page, galago }) => {
  await page.setViewportSize({ width: 360, height: 800 });
  await page.goto(`${galago.url}#album`);
  await page.getByText("Refine").click();
  const folder = page.getByRole("combobox", { name: "Folder" });
  await expect(folder.locator("option")).toHaveText(["Any folder", join(EXAMPLES, "album")]);
  await folder.selectOption({ index: 1 });
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await expect(page.locator("#hits .tile")).toHaveCount(16);
  await expect(page.locator("#hits .tile").first()).toContainText(/\d{1,2} \w+ \d{4}/);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await page.getByLabel("Taken until").fill("2001-01-01");
  await page.keyboard.press("Enter");
  await expect(page.locator("#found")).toContainText("no photo from there or then was found");
  await expect(page.locator("#hits .tile")).toHaveCount(0);
  await page.getByRole("searchbox", { name: "Words" }).fill("a banana");
  await page.getByLabel("Taken until").fill("");
  await page.keyboard.press("Enter");
  await expect(page.locator("#hits .tile > .name")).toHaveText(found("a banana"));
});

test("words that stand in a picture are shown with it", async ({ page, galago }) => {
  let asked: unknown;
  await page.route("**/api/search", async (route) => {
    asked = route.request().postDataJSON();
    const response = await route.fetch({ postData: { text: "a banana", k: 1 } });
    const found = (await response.json()) as { hits: object[] };
    const hits = found.hits.map((hit) => ({ ...hit, score: null, text: "…Invoice no. 17…", text_kind: "read" }));
    await route.fulfill({ json: { ...found, hits } });
  });
  await page.goto(`${galago.url}#album`);
  await page.getByText("Refine").click();
  await page.getByLabel("Only words that stand in pictures and captions").check();
  await page.getByRole("searchbox", { name: "Words" }).fill("invoice");
  await page.keyboard.press("Enter");
  await expect(page.locator("#hits .tile q")).toHaveText("…Invoice no. 17…");
  expect(asked).toEqual({ text: "invoice", text_only: true, k: 24 });
});
