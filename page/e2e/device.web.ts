/** Which device computes, in the real page, with stand-ins for a graphics processor in its worker. */

import { ask, show } from "./asking";
import { BROKEN, inWorker, keptDevice } from "./devices";
import { NOTE } from "./places";
import { expect, test } from "./site";

// It would hand out the worker's script as it is.
test.use({ serviceWorkers: "block" });

const READ = "What is written in this image? Output only the text in the image.";
const RUNTIME = /asyncify\.wasm$/;

test("a graphics processor that fails its trial isn't tried again, nor at the next visit", async ({ page, host }) => {
  await inWorker(page, BROKEN);
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await expect.poll(() => keptDevice(page), { timeout: 60_000 }).toBe("wasm");
  const sent = host.sent(RUNTIME);
  expect(sent).toBeGreaterThan(1e7); // it was tried
  await page.evaluate(async () => (await caches.keys()).forEach((name) => void caches.delete(name)));
  await page.reload();
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await page.waitForTimeout(1000); // a trial would begin behind the answer
  expect(host.sent(RUNTIME)).toBe(sent);
  await expect(page.locator("#loading-fell")).toBeHidden(); // nothing was lost
});

test("a graphics processor that was quicker and can't be opened now: the other one answers, and that is told", async ({ page, host }) => {
  await inWorker(page, BROKEN);
  await page.goto(host.url);
  await expect(page.locator("#version")).toHaveText(/^galago \d/);
  await page.evaluate(async () => {
    const { version, runtime } = await (await fetch("site.json")).json();
    localStorage.setItem(`galago-device fastvlm-nano ${version} ${runtime.version}`, "webgpu");
  });
  await page.reload();
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await expect(page.locator("#loading-fell")).toBeVisible();
  await expect(page.locator("#loading-fell")).toContainText("The graphics processor stopped.");
  expect(await keptDevice(page)).toBe("wasm");
});

test("a larger model without a graphics processor is refused before it is fetched", async ({ page, host }) => {
  await page.route("**/site.json", async (route) => {
    const response = await route.fetch();
    const site = (await response.json()) as { models: { files: { bytes: number }[] }[] };
    site.models[0]!.files[0]!.bytes = 1.5e8;
    await route.fulfill({ response, json: site });
  });
  await show(page, host.url, NOTE);
  await ask(page, READ);
  await expect(page.locator("#chat .error")).toHaveText(
    "fastvlm-nano is too large for the processor alone: this browser has no graphics processor to compute with (WebGPU)",
  );
  expect(host.sent(/\.(onnx|wasm)$/)).toBe(0);
});
