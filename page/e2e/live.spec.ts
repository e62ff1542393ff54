import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
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

test("the rate is the camera's own", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#rate")).toHaveText(/frames\/s/);
  const rates: number[] = [];
  for (let i = 0; i < 8; i++) {
    await page.waitForTimeout(700); // over changes of the picture and none
    rates.push(parseFloat((await page.locator("#rate").textContent()) ?? ""));
  }
  for (const rate of rates.slice(2)) expect(rate, String(rates)).toBeCloseTo(5, 0); // clip.py's
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(page.locator("#rate")).toBeHidden();
});

test("a browser that can't tell frames one by one is asked how many it has shown", async ({ page, galago }) => {
  await page.addInitScript(() => {
    delete (HTMLVideoElement.prototype as Partial<HTMLVideoElement>).requestVideoFrameCallback;
  });
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#rate")).toHaveText(/^(4\.[5-9]|5\.[0-4]) frames\/s$/);
});

test("words that were about another question or another picture are gone", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#caption")).toBeVisible();
  await page.route("**/v1/chat/completions", () => {}); // never answered
  await page.getByRole("radio", { name: "Count fingers" }).check();
  await expect(page.locator("#caption")).toBeHidden();
});

test("while an answer takes long, the words shown are marked as those of an earlier picture", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#caption")).toBeVisible();
  await page.route("**/v1/chat/completions", () => {});
  await expect(page.locator("#stage-text")).toHaveText("Still looking", { timeout: 20_000 });
  await expect(page.locator("#stage-help")).toHaveText(/^\d+ s so far; the words below are of an earlier picture$/);
  await expect(page.locator("#caption")).toHaveAttribute("data-old", "true");
  await page.unroute("**/v1/chat/completions");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#caption")).toHaveAttribute("data-old", "false");
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
  const light = () => page.locator("#video").evaluate((video: HTMLVideoElement) =>
    (video.srcObject as MediaStream).active);
  expect(await light()).toBe(false);
  const before = asked;
  await page.waitForTimeout(3500); // the clip has moved on
  expect(asked).toBe(before);
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(() => asked).toBeGreaterThan(before);
  expect(await light()).toBe(true);
});

test("a picture that stays the same is asked about once", async ({ page, galago }) => {
  let asked = 0;
  page.on("request", (request) => (asked += Number(request.url().endsWith("/v1/chat/completions"))));
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await page.waitForTimeout(3000); // at most two changes of the clip
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
  await expect(page.locator("#stage-text")).toHaveText("Still looking");
  await expect(page.locator("#stage-help")).toHaveText(/^\d+ s so far$/); // no words yet that could mislead
  release();
  await expect(page.locator("#stage-text")).toHaveText("the model is out of breath");
  await expect(page.getByRole("button", { name: "Start" })).toBeEnabled();
});

test("a video file takes the camera's place, and its times are the subtitles'", async ({ page, galago }) => {
  await page.goto(galago.url);
  const video = await record(page, [FRAMES[2] ?? "", FRAMES[0] ?? ""]);
  await page.getByRole("combobox", { name: "From" }).selectOption("A video file");
  await page.locator("#video-file").setInputFiles({ name: "clip.webm", mimeType: "video/webm", buffer: video });
  await expect(page.locator("#stage-text")).toHaveText("The picture has ended", { timeout: 20_000 });
  const expected = cli([FRAMES[2] ?? "", FRAMES[0] ?? ""], "describe");
  expect(await history(page)).toEqual(expect.arrayContaining(expected));
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save subtitles" }).click();
  const times = [...readFileSync(await (await download).path(), "utf-8").matchAll(/^00:00:(\S+) -->/gm)];
  expect(Number(times.at(0)?.[1])).toBeLessThan(2);
  expect(Number(times.at(-1)?.[1])).toBeGreaterThan(2);
});

test("haste while the camera opens does no harm", async ({ page, galago }) => {
  await page.addInitScript(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      await new Promise((done) => setTimeout(done, 700));
      return open(wanted);
    };
  });
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await expect(page.locator("#stage")).toHaveAttribute("data-state", "running");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByRole("combobox", { name: "From" }).selectOption("A video file"); // still opening
  await page.waitForTimeout(1500);
  await expect(page.locator("#stage")).toHaveAttribute("data-state", "idle");
});

test("one picture is asked about again when the server was busy", async ({ page, galago }) => {
  const busy = { status: 429, headers: { "Retry-After": "1" }, json: { error: { message: "busy" } } };
  await page.route("**/v1/chat/completions", (route) => route.fulfill(busy), { times: 1 });
  await page.goto(galago.url);
  await page.getByRole("button", { name: "One picture" }).click();
  await expect(page.locator("#stage-text")).toHaveText(/busy/);
  await expect(page.locator("#history li")).toHaveCount(1);
  await expect(page.locator("#stage-text")).toHaveText("Paused");
});

test("one picture after the other: the first is given up", async ({ page, galago }) => {
  const given: string[] = [];
  page.on("requestfailed", (request) => given.push(request.url()));
  await page.route("**/v1/chat/completions", () => {}, { times: 1 }); // never answered
  await page.goto(galago.url);
  const asked = page.waitForRequest("**/v1/chat/completions");
  await page.getByRole("button", { name: "One picture" }).click();
  await asked;
  await page.getByRole("button", { name: "One picture" }).click();
  await expect(page.locator("#history li")).toHaveCount(1);
  expect(given.some((url) => url.endsWith("/v1/chat/completions"))).toBe(true);
});

test("an own question is not asked half typed", async ({ page, galago }) => {
  const asked: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/chat/completions")) asked.push(request.postData() ?? "");
  });
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await page.getByRole("radio", { name: "Own question" }).check();
  await page.getByRole("textbox", { name: "Your question" }).pressSequentially("Is it", { delay: 800 });
  const before = asked.length;
  await page.keyboard.type(" a cat?");
  await page.keyboard.press("Enter");
  await expect.poll(() => asked.length).toBeGreaterThan(before);
  expect(asked.filter((body) => body.includes('"text":"I') && !body.includes('"Is it a cat?"'))).toEqual([]);
});

/** A film of pictures, three seconds each, made by the browser itself. */
async function record(page: Page, pictures: string[]): Promise<Buffer> {
  const urls = pictures.map((path) => `data:image/png;base64,${readFileSync(path, "base64")}`);
  const film = await page.evaluate(async (sources) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 256, height: 256 });
    const context = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: "video/webm", videoBitsPerSecond: 2e6 });
    const pieces: Blob[] = [];
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    const ended = new Promise((done) => (recorder.onstop = done));
    for (const source of sources) {
      const image = Object.assign(new Image(), { src: source });
      await image.decode();
      if (recorder.state === "inactive") recorder.start();
      for (let i = 0; i < 15; i++) {
        context?.drawImage(image, 0, 0);
        await new Promise((done) => setTimeout(done, 200));
      }
    }
    recorder.stop();
    await ended;
    const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }, urls);
  return Buffer.from(film, "base64");
}

test("a video that can't be played is told", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("combobox", { name: "From" }).selectOption("A video file");
  const torn = { name: "torn.mp4", mimeType: "video/mp4", buffer: Buffer.from("not a film") };
  await page.locator("#video-file").setInputFiles(torn);
  await expect(page.locator("#stage-text")).toHaveText("This video can't be played");
});

test("the screen takes the camera's place", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("combobox", { name: "From" }).selectOption("The screen");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#history li").first()).toBeVisible();
  await expect(page.getByRole("combobox", { name: "From" })).toHaveValue("screen");
});
