/** Which device computes, with SwiftShader in the place of a graphics processor. */

import { ask, show } from "./asking";
import { inWorker, keptDevice, LOSABLE, POSING, QUICK } from "./devices";
import { NOTE } from "./places";
import { expect, test } from "./site";

// It would hand out the worker's script as it is.
test.use({ serviceWorkers: "block" });

const READ = "What is written in this image? Output only the text in the image.";
const RUNTIME = /asyncify\.wasm$/;
const TRIAL = 600_000;

test("one that is slower: questions are answered while it is tried, and the processor goes on", async ({ page, host }) => {
  await inWorker(page, POSING);
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await expect.poll(() => host.sent(RUNTIME)).toBeGreaterThan(1e7);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  expect(await keptDevice(page)).toBeNull(); // the trial still runs
  await expect.poll(() => keptDevice(page), { timeout: TRIAL }).toBe("wasm");
  expect(await ask(page, READ)).toBe("Free\ncoffee");
});

test("one that is quicker answers from then on; when it is lost in the middle of an answer, the processor repeats it", async ({ page, host }) => {
  await inWorker(page, [POSING, QUICK, LOSABLE].join(";\n"));
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await expect.poll(() => keptDevice(page), { timeout: TRIAL }).toBe("webgpu");
  await page.reload();
  const before = host.sent(/simd-threaded\.wasm$/);
  await show(page, host.url, NOTE);
  expect(await ask(page, READ, TRIAL)).toBe("Free\ncoffee");
  expect(host.sent(/simd-threaded\.wasm$/)).toBe(before); // by the graphics processor

  await page.evaluate(() => new BroadcastChannel("gpu").postMessage("lose"));
  expect(await ask(page, READ, TRIAL)).toBe("Free\ncoffee");
  await expect(page.locator("#loading-fell")).toBeVisible();
  await expect(page.locator("#loading-fell")).toContainText("The graphics processor stopped.");
  expect(await keptDevice(page)).toBe("wasm");
  await page.locator("#set-language").evaluate((select: HTMLSelectElement) => {
    select.value = "zh";
    select.dispatchEvent(new Event("change", { bubbles: true }));
  });
  await expect(page.locator("#loading-fell")).toContainText("图形处理器停止了工作");
});
