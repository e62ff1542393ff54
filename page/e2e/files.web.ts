/** Files of models: fetched with bytes told, gone on with, checked, kept – or told that they can't be. */

import type { Page } from "@playwright/test";
import { CHROMIUM, expect, test } from "./site";

const BIG = /vision_encoder/;

interface Read {
  bytes: number;
  told: [number, number, boolean][];
  error: string | null;
}

/** Read the model's vision graph with the page's own files.ts. */
const read = (page: Page): Promise<Read> =>
  page.evaluate(async () => {
    const { readFiles, readSite } = await import(new URL("tested/files.js", location.href).href);
    const site = await readSite(location.href);
    const told: [number, number, boolean][] = [];
    try {
      const tell = (...state: [number, number, boolean]) => told.push(state);
      const [found] = await readFiles(location.href, site.models[0], ["onnx/vision_encoder_int8.onnx"], tell);
      return { bytes: found.length, told, error: null };
    } catch (error) {
      return { bytes: 0, told, error: (error as Error).message };
    }
  });

test.beforeEach(async ({ page, host }) => {
  // Where files.ts is alone: the page itself would read the model too.
  await page.route(`${host.url}alone`, (route) => route.fulfill({ contentType: "text/html", body: "<title>alone</title>" }));
  await page.goto(`${host.url}alone`);
});

test("what was broken off is continued where the host sends parts", async ({ page, host }) => {
  host.cut = { path: BIG, after: 2_500_000, times: 1 };
  const { bytes, told, error } = await read(page);
  expect(error).toBeNull();
  expect(told.at(-1)).toEqual([bytes, bytes, true]);
  const asked = host.asked.filter(({ path }) => BIG.test(path));
  expect(asked.map(({ range }) => range !== undefined)).toEqual([false, true]);
  expect(host.sent(BIG)).toBeLessThan(bytes + 2_000_000); // what lay in the socket is lost with it
});

test("and begins anew where it doesn't", async ({ page, host }) => {
  host.range = false;
  host.cut = { path: BIG, after: 2_500_000, times: 1 };
  const { bytes, error } = await read(page);
  expect(error).toBeNull();
  expect(host.sent(BIG)).toBeGreaterThan(bytes + 2_000_000);
});

test("a tab that was closed leaves what it has for the next", async ({ page, host }) => {
  host.cut = { path: BIG, after: 2_500_000, times: 100 };
  host.range = false;
  expect((await read(page)).error).toContain("The network does not answer");
  host.cut = null;
  host.range = true;
  await page.reload();
  const before = host.sent(BIG);
  const { bytes, told } = await read(page);
  expect(told[0]?.[0]).toBeGreaterThan(1_000_000);
  expect(host.sent(BIG) - before).toBeLessThan(bytes - 1_000_000);
  await page.reload();
  const whole = host.sent(BIG);
  expect((await read(page)).bytes).toBe(bytes);
  expect(host.sent(BIG)).toBe(whole); // kept: nothing was asked
});

test("a kept file that was damaged is fetched again", async ({ page, host }) => {
  const { bytes } = await read(page);
  await page.evaluate(async () => {
    const cache = await caches.open("galago-files");
    const part = (await cache.keys()).find(({ url }) => url.endsWith("/0"));
    if (!part) throw new Error("nothing is kept");
    const held = new Uint8Array(await (await cache.match(part))!.arrayBuffer());
    held[1000]! ^= 1;
    await cache.put(part, new Response(held));
  });
  const again = await read(page);
  expect(again).toMatchObject({ bytes, error: null });
  expect(host.sent(BIG)).toBe(2 * bytes);
});

test("what isn't the file that was exported is refused, and not kept", async ({ page, host }) => {
  await page.route(/vision_encoder/, async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    body[1000]! ^= 1;
    await route.fulfill({ response, body });
  });
  expect((await read(page)).error).toContain("A file of the model is not what it should be");
  expect(await page.evaluate(async () => (await (await caches.open("galago-files")).keys()).length)).toBe(0);
  await page.unroute(/vision_encoder/);
  expect((await read(page)).error).toBeNull();
  expect(host.sent(BIG)).toBeGreaterThan(0);
});

test("without room it works, and says so", CHROMIUM, async ({ page, host, context }) => {
  const session = await context.newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(host.url).origin, quotaSize: 1_500_000 });
  const { bytes, told, error } = await read(page);
  expect(error).toBeNull();
  expect(told.at(-1)).toEqual([bytes, bytes, false]);
  expect(await page.evaluate(async () => (await (await caches.open("galago-files")).keys()).length)).toBe(0);
});

test("two tabs fetch a file once", async ({ page, host, context }) => {
  const other = await context.newPage();
  await other.route(`${host.url}alone`, (route) => route.fulfill({ contentType: "text/html", body: "<title>alone</title>" }));
  await other.goto(`${host.url}alone`);
  const [one, two] = await Promise.all([read(page), read(other)]);
  expect(one.bytes).toBe(two.bytes);
  expect(host.sent(BIG)).toBe(one.bytes);
});
