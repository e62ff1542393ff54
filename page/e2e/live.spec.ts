import { readFileSync } from "node:fs";
import { cli, expect, history, plain, test } from "./galago";
import { FRAMES } from "./places";

test("the camera's pictures are put into the words of the command line", async ({ page, galago }) => {
  const expected = cli(FRAMES, "describe");
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#ttft")).toHaveText(/^first token \d+\.\d\d s$/);
  await expect(page.locator("#rate")).toHaveText(/^\d+\.\d frames\/s$/);
  await expect.poll(() => history(page), { timeout: 20_000 }).toEqual(expect.arrayContaining(expected));
  const caption = plain((await page.locator("#caption").textContent()) ?? "");
  expect(expected).toContain(caption);
  // Screen readers heard captions, and no half-written one.
  expect(expected).toContain(plain((await page.locator("#said > span").textContent()) ?? ""));
  await expect(page.locator("#history time").first()).toHaveText(/^\d\d:\d\d:\d\d$/);
});

test("another ready question is asked at once", async ({ page, galago }) => {
  const expected = cli(FRAMES, "count");
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await page.getByRole("radio", { name: "Count fingers" }).check();
  await page.getByRole("button", { name: "Clear" }).click();
  await expect.poll(() => history(page), { timeout: 20_000 }).toEqual(expect.arrayContaining(expected));
  await expect(page.locator("#caption")).toHaveText(/^\d+$/);
});

test("pause stops the questions, and start goes on", async ({ page, galago }) => {
  let asked = 0;
  page.on("request", (request) => (asked += Number(request.url().endsWith("/v1/chat/completions"))));
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.locator("#stage-text")).toHaveText("Paused");
  const before = asked;
  await page.waitForTimeout(4500); // the clip has moved on
  expect(asked).toBe(before);
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(() => asked).toBeGreaterThan(before);
});

test("a picture that stays the same is asked about once", async ({ page, galago }) => {
  let asked = 0;
  page.on("request", (request) => (asked += Number(request.url().endsWith("/v1/chat/completions"))));
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await page.waitForTimeout(4000); // at most two changes of the clip
  expect(asked).toBeLessThanOrEqual(3);
});

test("one picture at a time", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("button", { name: "One picture" }).click();
  await expect(page.locator("#history li")).toHaveCount(1);
  await expect(page.locator("#stage-text")).toHaveText("Paused");
  expect(cli(FRAMES, "describe")).toContain(plain((await page.locator("#caption").textContent()) ?? ""));
});

test("an own question is sent as it was typed", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("radio", { name: "Own question" }).check();
  await page.getByRole("textbox", { name: "Your question" }).fill("What is written in this image?");
  const request = page.waitForRequest("**/v1/chat/completions");
  await page.getByRole("button", { name: "Start" }).click();
  expect((await request).postData()).toContain("What is written in this image?");
  await expect(page.locator("#history li").first()).toBeVisible();
});

test("captions can be taken along as text and as subtitles", async ({ page, galago, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(async () => (await history(page)).length).toBeGreaterThan(1);
  await page.getByRole("button", { name: "Pause" }).click();
  const said = (await history(page)).reverse();
  const save = async (name: string) => {
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name }).click();
    return readFileSync(await (await download).path(), "utf-8");
  };
  const lines = (await save("Save text")).trim().split("\n");
  expect(lines.map((line) => plain(line.slice(8)))).toEqual(said);
  const vtt = await save("Save subtitles");
  expect(vtt).toMatch(/^WEBVTT\n\n00:00:0\d\.\d{3} --> 00:0\d:\d\d\.\d{3}\n/);
  await page.getByRole("button", { name: "Copy" }).click();
  await expect(page.locator("#said")).toHaveText("Copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.trim().split("\n")).toEqual(lines);
});

for (const [error, text] of [
  ["NotAllowedError", "The camera was refused"],
  ["NotFoundError", "No camera was found"],
  ["NotReadableError", "Another program holds the camera"],
] as const) {
  test(`${error}: ${text}`, async ({ page, galago }) => {
    await page.addInitScript((name) => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
    }, error);
    await page.goto(galago.url);
    await page.getByRole("button", { name: "Start" }).click();
    await expect(page.locator("#stage-text")).toHaveText(text);
    await expect(page.locator("#stage-help")).not.toBeEmpty();
    await expect(page.getByRole("button", { name: "Start" })).toBeEnabled();
  });
}

test("a slow model is told, and one that fails says why", async ({ page, galago }) => {
  let release = () => {};
  const held = new Promise<void>((done) => (release = done));
  await page.route("**/v1/chat/completions", async (route) => {
    await held;
    await route.fulfill({ status: 400, json: { error: { message: "the model is out of breath" } } });
  });
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#stage-text")).toHaveText(/^Still looking: \d+ s$/);
  release();
  await expect(page.locator("#stage-text")).toHaveText("the model is out of breath");
  await expect(page.getByRole("button", { name: "Start" })).toBeEnabled();
});
