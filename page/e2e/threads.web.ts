/** Threads, from hosts that know nothing of the headers they need. */

import type { Page } from "@playwright/test";
import { ask, show } from "./asking";
import { NOTE } from "./places";
import { replies } from "./replies";
import { expect, settled, test } from "./site";

test.use({ again: true });

const READ = "What is written in this image? Output only the text in the image.";
const REST = 1500; // ms in which a page that is opened again and again would be seen to
const isolated = (page: Page): Promise<boolean> => page.evaluate(() => crossOriginIsolated);
const rules = (page: Page): Promise<boolean> => page.evaluate(() => navigator.serviceWorker.controller !== null);

/** How often the page was opened. */
function openings(page: Page): () => number {
  let count = 0;
  page.on("domcontentloaded", () => count++);
  return () => count;
}

test("a first visit's page is opened again, once, and answers with two threads as Python does, offline too", async ({ page, host }) => {
  test.setTimeout(180_000);
  const count = openings(page);
  const scripts = (): number => host.asked.filter(({ path }) => path.endsWith(".mjs")).length;
  await page.goto(host.url);
  await expect.poll(count).toBe(2);
  expect(await isolated(page)).toBe(true);
  const before = scripts();
  const wanted = replies().replies.filter(({ prompt }) => prompt === READ);
  expect(wanted.length).toBeGreaterThan(2);
  for (const { picture, prompt, text } of wanted) {
    await show(page, host.url, picture);
    expect(await ask(page, prompt), picture).toBe(text);
  }
  expect(scripts() - before).toBe(2); // the worker's, and a thread's
  await host.stop();
  await page.reload();
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  expect(await isolated(page)).toBe(true);
  expect(count()).toBe(3);
  await host.start();
});

test("the page isn't taken from somebody who has begun something; the next visit has threads", async ({ page, host }) => {
  host.slow = { path: /sw\.js/, pause: 1000 };
  const count = openings(page);
  await page.goto(host.url);
  await page.getByRole("link", { name: "Picture" }).click();
  await settled(page);
  await page.waitForTimeout(REST);
  expect(count()).toBe(1);
  expect(await isolated(page)).toBe(false);
  await page.goto(`${host.url}?next`);
  expect(await isolated(page)).toBe(true);
});

test("nor from somebody who has had it for a while", async ({ page, host }) => {
  host.slow = { path: /icons\/512/, pause: 6000 }; // which the worker keeps before it begins
  const count = openings(page);
  await page.goto(host.url);
  await expect.poll(() => host.sent(/\.onnx$/), { timeout: 30_000 }).toBeGreaterThan(0); // the model is waited for no longer
  expect(await rules(page)).toBe(false);
  await settled(page);
  await page.waitForTimeout(REST);
  expect(count()).toBe(1);
});

test("nor a second time in a tab whose browser has thrown all away", async ({ page, host }) => {
  const count = openings(page);
  await page.goto(host.url);
  await expect.poll(count).toBe(2);
  await page.evaluate(async () => {
    for (const registration of await navigator.serviceWorker.getRegistrations()) await registration.unregister();
    for (const name of await caches.keys()) await caches.delete(name);
  });
  await page.reload();
  await settled(page);
  await page.waitForTimeout(REST);
  expect(count()).toBe(3);
});

test("nor where it can't be noted that it was opened again", async ({ page, host }) => {
  const count = openings(page);
  await page.addInitScript(() => {
    Object.defineProperty(window, "sessionStorage", { get: () => { throw new DOMException("off", "SecurityError"); } });
  });
  await page.goto(host.url);
  await settled(page);
  await page.waitForTimeout(REST);
  expect(count()).toBe(1);
});

test("headers that the host sends are left as they are", async ({ page, host }) => {
  host.isolated = "credentialless";
  const count = openings(page);
  await page.goto(host.url);
  expect(await isolated(page)).toBe(true);
  await settled(page);
  await page.waitForTimeout(REST);
  expect(count()).toBe(1);
  const again = await page.reload();
  expect(again?.fromServiceWorker()).toBe(true);
  expect(again?.headers()["cross-origin-embedder-policy"]).toBe("credentialless");
  expect(await isolated(page)).toBe(true);
});
