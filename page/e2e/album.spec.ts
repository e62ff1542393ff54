import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "./galago";
import { ENVIRONMENT, EXAMPLES, PYTHON, TOP } from "./places";

/** The names of the photos that the command line finds. */
function found(...query: string[]): string[] {
  const args = ["-m", "galago", "search", ...query, "--json", "-k", "24"];
  const lines = execFileSync(PYTHON, args, { cwd: TOP, env: ENVIRONMENT, stdio: ["ignore", "pipe", "ignore"] });
  const records = lines.toString().trim().split("\n").filter(Boolean);
  return records.map((line) => (JSON.parse(line) as { path: string }).path.split("/").pop() ?? "");
}

test("search by words finds what the command line finds", async ({ page, galago }) => {
  await page.goto(`${galago.url}#album`);
  await expect(page.locator("#found")).toContainText("16 photos");
  await page.getByRole("searchbox", { name: "Words" }).fill("a banana");
  await page.keyboard.press("Enter");
  const expected = found("a banana");
  expect(expected.length).toBeGreaterThan(0);
  await expect(page.locator("#hits .tile > span:first-of-type")).toHaveText(expected);
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
  await expect(page.locator("#found")).toHaveText("No photo matches.");
  await expect(page.locator("#hits li")).toHaveCount(0);
  await page.getByText(/^The nearest that don't match/).click();
  await expect(page.locator("#rest-hits li").first()).toBeVisible();
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
