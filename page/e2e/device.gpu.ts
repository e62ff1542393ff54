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
  await expect.poll(() => host.sent(RUNTIME), { timeout: 60_000 }).toBeGreaterThan(1e7);
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  expect(await keptDevice(page)).toBeNull(); // the trial still runs
  await expect.poll(() => keptDevice(page), { timeout: TRIAL }).toBe("wasm");
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
});

test("one that is quicker answers from then on; when it is lost in the middle of an answer, the processor repeats it", async ({ page, host }) => {
  await inWorker(page, [POSING, QUICK, LOSABLE].join(";\n"));
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await expect.poll(() => keptDevice(page), { timeout: TRIAL }).toBe("webgpu");
  await show(page, host.url, NOTE);
  await page.evaluate(() => {
    const chat = document.querySelector("#chat")!;
    const gpu = new BroadcastChannel("gpu");
    const seen = new MutationObserver(() => {
      const begun = chat.querySelector(".answer")?.textContent;
      if (!begun) return;
      seen.disconnect();
      gpu.postMessage("lose");
      Object.assign(window, { begun });
    });
    seen.observe(chat, { childList: true, subtree: true, characterData: true });
  });
  expect(await ask(page, READ, TRIAL)).toBe("Free\ncoffee");
  const begun = await page.evaluate(() => (window as unknown as { begun: string }).begun);
  expect("Free\ncoffee".startsWith(begun) && begun.length < "Free\ncoffee".length, begun).toBe(true);
  const told = page.locator("#loading-fell");
  await expect(told).toBeVisible();
  await expect(told).toContainText("The graphics processor stopped.");
  expect(await keptDevice(page)).toBe("wasm");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.locator("#set-language").selectOption("zh");
  await expect(told).toContainText("图形处理器停止了工作");
});
