/** Figures for docs/web.md, told and not judged: `npx playwright test --project=figures`. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Page } from "@playwright/test";
import { ask, show } from "./asking";
import { Galago } from "./galago";
import { EXAMPLES, MADE, NOTE, PYTHON } from "./places";
import { replies } from "./replies";
import { expect, type Host, settled, test } from "./site";

test.use({ again: true });

const ROUNDS = 5; // over seven pictures, more than are remembered: each is looked at anew
const DESCRIBE = "Describe the image in English.";
const PHOTO = join(MADE, "photo.jpg");

const seconds = (since: number): number => (performance.now() - since) / 1000;
const load = (): string => `load ${loadavg()[0]?.toFixed(1)}`;
const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;

test.beforeAll(() => {
  const made = "from PIL import Image; from sys import argv; Image.open(argv[1]).convert('RGB').resize((1280, 960), 3).save(argv[2], quality=90)";
  execFileSync(PYTHON, ["-c", made, join(EXAMPLES, "hand.jpg"), PHOTO]);
});

/** A page that answers, and what was measured of it. */
class Answering {
  readonly first: number[] = []; // seconds to the first token, of the examples
  readonly photo: number[] = []; // of a photo of 1280 x 960
  private tokens = 0;
  private speaking = 0;

  constructor(
    private readonly name: string,
    private readonly page: Page,
    private readonly address: string,
  ) {}

  /** Ask about a picture; `tokens` is how many the answer has. */
  async ask(picture: string, tokens: number, counts: boolean): Promise<void> {
    await show(this.page, this.address, picture);
    // When the answer grows, by the page's own clock.
    await this.page.evaluate(() => {
      const grown: number[] = Object.assign(window, { grown: [] }).grown;
      let before = "";
      new MutationObserver(() => {
        const text = document.querySelector("#chat .answer")?.textContent ?? "";
        if (text !== before) grown.push(performance.now());
        before = text;
      }).observe(document.querySelector("#chat")!, { subtree: true, childList: true, characterData: true });
    });
    await ask(this.page, DESCRIBE);
    if (!counts) return;
    const told = /(\d+\.\d+) s/.exec((await this.page.locator("#chat .small-text").textContent()) ?? "")?.[1];
    (picture === PHOTO ? this.photo : this.first).push(Number(told));
    const grown = await this.page.evaluate(() => (window as unknown as { grown: number[] }).grown);
    this.tokens += tokens - 1;
    this.speaking += ((grown.at(-1) ?? 0) - (grown[0] ?? 0)) / 1000;
  }

  toString(): string {
    const [best, photo] = [Math.min(...this.first), Math.min(...this.photo)];
    return `${this.name}: first token best ${best} s, median ${middle(this.first)} s of ${this.first.length}; `
      + `of a photo of 1280x960 best ${photo} s, median ${middle(this.photo)} s of ${this.photo.length}; `
      + `${(this.tokens / this.speaking).toFixed(0)} tokens/s`;
  }
}

test("fastvlm-nano by WASM with one and two threads, beside the server, in turns", async ({ page, host, context, browser }) => {
  test.setTimeout(900_000);
  host.isolated = "require-corp";
  const galago = new Galago();
  await galago.start();
  const elsewhere = await browser.newContext(); // the page's own watches that nobody else is asked
  const all = [
    new Answering("WASM, one thread", page, `${host.url}?threads=1`),
    new Answering("WASM, two threads", await context.newPage(), `${host.url}?threads=2`),
    new Answering("galago serve", await elsewhere.newPage(), galago.url),
  ];
  const told = replies().replies.filter(({ prompt }) => prompt === DESCRIBE);
  const pictures = [...told, { ...told.find(({ picture }) => picture.endsWith("hand.jpg"))!, picture: PHOTO }];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { picture, tokens } of pictures) {
      for (const one of all) await one.ask(picture, tokens, round > 0);
    }
    console.log(`${load()}\n${all.join("\n")}`);
  }
  await elsewhere.close();
  await galago.stop();
});

/** What the host sent, as it is and by `gzip -9`, and how much of it belongs to what. */
function sent(host: Host): string {
  const parts: [string, RegExp][] = [["runtime", /^\/runtime/], ["nano", /^\/models\/fastvlm/], ["album's model", /^\/models\/mobileclip/], ["page", /^/]];
  const sums = parts.map(() => [0, 0]);
  for (const { path, bytes } of host.asked) {
    const whole = readFileSync(join(host.folder, path));
    const sum = sums[parts.findIndex(([, kind]) => kind.test(path))]!;
    sum[0]! += bytes;
    sum[1]! += (bytes / whole.length) * gzipSync(whole, { level: 9 }).length;
  }
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
  return sums.map(([bytes, packed], at) => `${parts[at]![0]} ${mb(bytes!)} (${mb(packed!)})`).join(", ");
}

/** Until the page can be used, and until it has answered who asks at once. */
async function visit(page: Page, host: Host, address: string): Promise<string> {
  const started = performance.now();
  await page.goto(address);
  await page.locator("#asks button").first().waitFor({ state: "attached" });
  const usable = seconds(started);
  await page.waitForFunction(() => crossOriginIsolated); // it may be opened again at this very moment
  const again = seconds(started);
  await show(page, address, NOTE);
  await ask(page, DESCRIBE);
  return `usable ${usable.toFixed(2)} s, stays as it is ${again.toFixed(2)} s, answered ${seconds(started).toFixed(2)} s, ${load()}; sent: ${sent(host)}`;
}

for (const time of [1, 2, 3]) {
  test(`a first and a second visit (${time})`, async ({ page, host, context }) => {
    console.log(`first visit: ${await visit(page, host, host.url)}`);
    await settled(page);
    await page.close();
    host.asked.length = 0;
    console.log(`second visit: ${await visit(await context.newPage(), host, host.url)}`);
  });

  test(`the first photo of an album, and the second (${time})`, async ({ page, host }) => {
    await page.goto(`${host.url}?#album`);
    await page.waitForEvent("domcontentloaded");
    await page.getByRole("tab", { name: "Add photos" }).click();
    for (const [number, photo] of [PHOTO, NOTE].entries()) {
      const started = performance.now();
      await page.locator("#files-photos").setInputFiles(photo);
      await expect(page.locator("#run-line")).toHaveText(new RegExp(`^${number + 1} photo`), { timeout: 60_000 });
      console.log(`photo ${number + 1} of an album: ${seconds(started).toFixed(2)} s, ${load()}`);
    }
    const started = performance.now();
    await page.getByRole("tab", { name: "Search" }).click();
    await page.getByRole("searchbox", { name: "Words" }).fill("a hand");
    await page.keyboard.press("Enter");
    await expect(page.locator("#found")).toHaveText(/match/, { timeout: 60_000 });
    console.log(`the first search: ${seconds(started).toFixed(2)} s`);
  });
}
