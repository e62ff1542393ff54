import type { Page } from "@playwright/test";
import { ask, show } from "./asking";
import { Galago } from "./galago";
import { replies } from "./replies";
import { test } from "./site";

const ROUNDS = 2; // over six pictures, more than are remembered: each is looked at anew

/** Seconds to the first token as the page tells them, the first answer's and the median of later ones. */
async function figures(page: Page, address: string): Promise<string> {
  const pictures = [...new Set(replies().replies.map(({ picture }) => picture))];
  const seconds: number[] = [];
  const started = performance.now();
  let ready = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const picture of pictures) {
      await show(page, address, picture);
      await ask(page, "Describe the image in English.");
      ready ||= (performance.now() - started) / 1000;
      seconds.push(Number(/(\d+\.\d+) s/.exec((await page.locator("#chat .small-text").textContent()) ?? "")?.[1]));
    }
  }
  const later = seconds.slice(pictures.length).sort((a, b) => a - b);
  const [best, median] = [later[0], later[later.length >> 1]];
  return `opened and answered ${ready.toFixed(1)} s; first token, later: best ${best} s, median ${median} s of ${later.length}`;
}

test("first token of fastvlm-nano: WASM by threads, beside the server on this machine", async ({ page, host, browser }) => {
  host.isolated = "require-corp";
  const table: string[] = [];
  for (const threads of [1, 2]) table.push(`WASM, threads ${threads}: ${await figures(page, `${host.url}?threads=${threads}`)}`);
  const galago = new Galago();
  await galago.start();
  const context = await browser.newContext(); // the page's own watches that nobody else is asked
  table.push(`galago serve: ${await figures(await context.newPage(), galago.url)}`);
  await context.close();
  await galago.stop();
  console.log(table.join("\n"));
});
