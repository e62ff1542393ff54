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
  await page.getByRole("button", { name: "Clear" }).click();
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...info, version: "of tomorrow" } });
  });
  await galago.start();
  await expect(page.locator("#banner")).toBeHidden();
  await expect.poll(async () => (await history(page)).length).toBeGreaterThan(0); // goes on by itself
  await expect(page.locator("#version")).toHaveText("galago of tomorrow"); // it may be another one
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
});

test("an album that can't be opened is told", async ({ page, galago }) => {
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...info, album: null, album_problem: "it is damaged" } });
  });
  await page.goto(`${galago.url}#album`);
  await expect(page.locator("#album-none")).toHaveText("The album can't be searched: it is damaged");
});
