import AxeBuilder from "@axe-core/playwright";
import { join } from "node:path";
import { expect, history, test } from "./galago";
import { EXAMPLES } from "./places";

test("a server that stops and comes back", async ({ page, serve }) => {
  const galago = await serve();
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(async () => (await history(page)).length).toBeGreaterThan(0);
  await galago.stop("SIGKILL");
  await expect(page.getByRole("alert").filter({ hasText: "galago does not answer" })).toBeVisible();
  await expect(page.locator("#stage-text")).toHaveText("galago does not answer");
  await expect(page.locator("#caption")).toBeHidden(); // it was about another picture
  await expect(page.locator("#figures")).toBeHidden();
  await page.waitForTimeout(7000);
  await expect(page.locator("#stage-text")).toHaveText("galago does not answer"); // nobody is looking
  await page.getByRole("button", { name: "Clear" }).click();
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...info, version: "of tomorrow" } });
  });
  await galago.start();
  await expect(page.locator("#banner")).toBeHidden();
  await expect.poll(async () => (await history(page)).length).toBeGreaterThan(0); // goes on by itself
  await expect(page.locator("#version")).toHaveText("galago of tomorrow"); // it may be another one
  await expect(page.locator("#stage-text")).toBeEmpty();
  await expect(page.locator("#caption")).toBeVisible();
});

test("a server that hangs is told in every view, and goes on when it wakes", async ({ page, serve }) => {
  const galago = await serve();
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(async () => (await history(page)).length).toBeGreaterThan(0);
  galago.hang();
  await expect(page.locator("#stage-text")).toHaveText("galago does not answer", { timeout: 25_000 });
  await expect(page.locator("#banner")).toBeVisible();
  await expect(page.locator("#caption")).toBeHidden();
  galago.wake();
  await expect(page.locator("#banner")).toBeHidden();
  await expect(page.locator("#caption")).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("link", { name: "Picture" }).click();
  await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "note.png"));
  await page.getByRole("link", { name: "Album" }).click();
  await page.getByRole("searchbox").fill("banana");
  galago.hang();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Picture" }).click();
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await expect(page.locator("#chat .error")).toHaveText(/galago does not answer/, { timeout: 25_000 });
  await expect(page.locator("#found")).toHaveText(/galago does not answer/);
});

test("a server with a key asks for it", async ({ page, serve }) => {
  const galago = await serve("--api-key", "open sesame");
  await page.goto(`${galago.url}#album`);
  const dialog = page.getByRole("dialog", { name: "This server asks for a key" });
  for (const wrong of ["wrong", "钥匙"]) { // the latter can't even be sent
    await dialog.getByLabel("API key").fill(wrong);
    await page.keyboard.press("Enter");
    await expect(dialog.getByLabel("API key")).toBeEmpty(); // asked again
  }
  await dialog.getByLabel("API key").fill("open sesame");
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await page.getByRole("searchbox").fill("banana");
  await page.keyboard.press("Enter");
  const image = page.locator("#hits img").first();
  await expect.poll(() => image.evaluate((each: HTMLImageElement) => each.naturalWidth)).toBeGreaterThan(0);
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "note.png"));
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await expect(page.locator("#chat .answer")).not.toBeEmpty();
});

test("the description of the API opens without a key", async ({ page, serve }) => {
  const galago = await serve("--api-key", "open sesame");
  await page.goto(`${galago.url}docs`);
  await expect(page.getByRole("heading", { name: "POST /v1/chat/completions" })).toBeVisible();
  await expect(page.locator("pre").first()).toHaveCSS("border-radius", "10px"); // styled
  await expect(page.locator("pre").filter({ hasText: "import openai" }).first()).toContainText(galago.url);
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  }
});

test("without an album the page says how to make one", async ({ page, galago }) => {
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...info, album: null } });
  });
  await page.goto(`${galago.url}#album`);
  await expect(page.locator("#album-none")).toContainText("galago index ~/Pictures");
});

test("an album that can't be opened is told", async ({ page, galago }) => {
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...info, album: null, album_problem: "it is damaged" } });
  });
  await page.goto(`${galago.url}#album`);
  await expect(page.locator("#album-none")).toHaveText("The album can't be searched: it is damaged");
});
