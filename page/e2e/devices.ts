import type { Page } from "@playwright/test";

/** Run code in the worker of the page before its own. */
export async function inWorker(page: Page, code: string): Promise<void> {
  await page.route("**/assets/worker-*.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${code};\n${await response.text()}` });
  });
}

/** The device that this browser keeps as the quicker one; null before any trial. */
export const keptDevice = (page: Page): Promise<string | null> =>
  page.evaluate(() => Object.entries(localStorage).find(([key]) => key.startsWith("galago-device"))?.[1] ?? null);

/** A graphics processor that is listed, but whose driver gives no device. */
export const BROKEN = `{
  const adapter = {
    features: new Set(), limits: {}, info: { vendor: "acme", architecture: "one", device: "", description: "" },
    requestDevice: () => Promise.reject(new Error("the driver is broken")),
  };
  Object.defineProperty(Object.getPrototypeOf(navigator), "gpu", { get: () => ({ requestAdapter: async () => adapter }) });
}`;

/** SwiftShader, listed as if it were a graphics processor. */
export const POSING = `for (const [name, value] of Object.entries({ vendor: "acme", architecture: "one", device: "", description: "", isFallbackAdapter: false })) {
  Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => value });
}`;

/** Time stands still while the graphics processor has work: it looks infinitely quick. */
export const QUICK = `{
  const now = performance.now.bind(performance);
  const submit = GPUQueue.prototype.submit;
  let [worked, last, skipped] = [false, now(), 0];
  GPUQueue.prototype.submit = function (...args) {
    worked = true;
    return submit.apply(this, args);
  };
  performance.now = () => {
    const time = now();
    if (worked) skipped += time - last;
    worked = false;
    last = time;
    return time - skipped;
  };
}`;

/** The device goes away with the work after "lose" was said on the channel "gpu". */
export const LOSABLE = `{
  const said = new BroadcastChannel("gpu");
  const request = GPUAdapter.prototype.requestDevice;
  const submit = GPUQueue.prototype.submit;
  let [device, lose] = [null, false];
  said.onmessage = () => (lose = true);
  GPUAdapter.prototype.requestDevice = async function (...args) {
    return (device = await request.apply(this, args));
  };
  GPUQueue.prototype.submit = function (...args) {
    if (lose) device.destroy();
    return submit.apply(this, args);
  };
}`;
