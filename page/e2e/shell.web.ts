import AxeBuilder from "@axe-core/playwright";
import { readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Page } from "@playwright/test";
import { inWorker } from "./devices";
import { cli } from "./galago";
import { FRAMES, NOTE } from "./places";
import { CHROMIUM, expect, Host, plain, settled, test } from "./site";

/** Ask about the note, and wait for the whole answer. */
async function read(page: Page): Promise<string> {
  // A first visit's page is opened again for its threads, which may be just now.
  await expect(() => page.goto(new URL("#picture", page.url()).href)).toPass({ timeout: 20_000 });
  await page.locator("#picture-file").setInputFiles(NOTE);
  await page.getByRole("button", { name: "Read", exact: true }).click();
  await expect(page.locator("#chat .answer")).not.toBeEmpty({ timeout: 75_000 });
  await expect(page.locator("#chat [aria-busy]")).toHaveCount(0);
  return plain((await page.locator("#chat .answer").last().textContent()) ?? "");
}

const loaded = (page: Page) => expect(page.locator("#version")).toHaveText(/^galago \d/);

test("it opens, answers as the command line does, and asks nobody else", async ({ page, host }) => {
  await page.goto(host.url);
  await loaded(page);
  await expect(page.locator("#banner")).toBeHidden();
  expect(await read(page)).toContain(cli([NOTE], "read")[0]);
  expect(host.asked.filter(({ path }) => /\/(v1|api|health)/.test(path))).toEqual([]);
});

test("a policy stands in the page, and a foreign script or call is refused", async ({ host, context }) => {
  const page = await context.newPage(); // on the usual one a refusal is an error
  const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(readFileSync(join(host.folder, "index.html"), "utf-8"))?.[1];
  expect(policy).toContain("default-src &#39;none&#39;");
  expect(policy).not.toMatch(/unsafe-inline|(?<!wasm-)unsafe-eval|\*(?!\.(hf\.co|huggingface\.co))/);
  const other = new Host(host.folder);
  await other.start();
  await context.route("**/unasked", (route) => route.fulfill({ body: "" }));
  await page.goto(host.url);
  await loaded(page);
  const refused = await page.evaluate(async (address) => {
    const violations: string[] = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
    await fetch(address).catch(() => {});
    document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" }));
    await new Promise((done) => setTimeout(done, 300));
    return { violations, ran: "ran" in window };
  }, `${other.url}unasked`);
  await other.stop();
  expect(refused).toEqual({ violations: ["connect-src", "script-src-elem"], ran: false });
});

test("after one visit it works without the network", async ({ page, host }) => {
  await page.goto(host.url);
  await loaded(page);
  await settled(page);
  const said = await read(page);
  await host.stop();
  await page.goto(host.url);
  await loaded(page);
  expect(await read(page)).toBe(said);
  await expect(page.locator("#loading")).toBeHidden();
  await host.start();
});

test("a second visit fetches no model again", async ({ page, host }) => {
  await page.goto(host.url);
  await loaded(page);
  await read(page);
  const first = host.sent(/\.(onnx|wasm)$/);
  expect(first).toBeGreaterThan(20e6);
  await page.goto(`${host.url}?again`);
  await read(page);
  expect(host.sent(/\.(onnx|wasm)$/)).toBe(first);
});

test("a new version takes over, and a tab with the old one goes on", async ({ page, context, copy }) => {
  const host = new Host(copy());
  await host.start();
  await page.goto(host.url);
  await loaded(page);
  await settled(page);
  const file = (name: string) => join(host.folder, name);
  const worker = readFileSync(file("sw.js"), "utf-8");
  const script = /assets\/index-[\w-]+\.js/.exec(worker)?.[0] ?? "";
  const renamed = script.replace("index-", "index-of-tomorrow-");
  const code = readFileSync(file(script), "utf-8");
  writeFileSync(file(renamed), `${code};document.documentElement.dataset.version="tomorrow";`);
  writeFileSync(file("index.html"), readFileSync(file("index.html"), "utf-8").replace(script, renamed));
  writeFileSync(file("sw.js"), worker.replaceAll(script, renamed).replace(/"digest":"\w+"/, '"digest":"tomorrow"'));
  const other = await context.newPage();
  await other.goto(host.url); // the old page once more, while the new one is fetched
  await expect(async () => {
    await other.reload();
    await expect(other.locator("html[data-version=tomorrow]")).toBeAttached({ timeout: 2_000 });
  }).toPass({ timeout: 40_000 });
  await loaded(other);
  expect(await page.evaluate(async (address) => (await fetch(address)).ok, script)).toBe(true); // also when its host has it no more
  expect(plain(await read(page))).toContain(cli([NOTE], "read")[0]);
  await host.stop();
});

test("it can be installed", CHROMIUM, async ({ page, host, context }) => {
  await page.goto(host.url);
  await loaded(page);
  await settled(page);
  const session = await context.newCDPSession(page);
  const { errors, url } = await session.send("Page.getAppManifest");
  expect(errors).toEqual([]);
  expect(url).toBe(`${host.url}manifest.webmanifest`);
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== "in-incognito")).toEqual([]);
});

test("every view passes axe, also while it loads", CHROMIUM, async ({ page, host }) => {
  host.slow = { path: /\.onnx$/, pause: 40 };
  await page.goto(host.url);
  await expect(page.locator("#loading")).toBeVisible();
  for (const view of ["live", "picture", "album"]) {
    await page.goto(`${host.url}#${view}`);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`), view).toEqual([]);
  }
});

test("the camera is put into words, and the page stays awake", CHROMIUM, async ({ page, host }) => {
  await page.goto(host.url);
  await loaded(page);
  await page.getByRole("button", { name: "Start" }).click();
  const known = cli(FRAMES, "describe");
  await expect.poll(async () => {
    const seen = await page.locator("#history li > span[lang]").allTextContents();
    return known.filter((words) => seen.map(plain).includes(words)).length;
  }, { timeout: 60_000 }).toBeGreaterThan(0);
});

test("a browser without a graphics processor, threads or storage", async ({ page, host }) => {
  await inWorker(page, "delete self.SharedArrayBuffer");
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined });
    Object.defineProperty(window, "SharedArrayBuffer", { value: undefined });
    Object.defineProperty(window, "caches", { get: () => { throw new DOMException("off", "SecurityError"); } });
  });
  await page.goto(host.url);
  await loaded(page);
  expect(await read(page)).toContain(cli([NOTE], "read")[0]);
});

test("a browser whose storage is full works, and says that it will load again", CHROMIUM, async ({ page, host, context }) => {
  const session = await context.newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(host.url).origin, quotaSize: 1_500_000 });
  host.slow = { path: /\.onnx$/, pause: 40 }; // what is there at once is told of nowhere
  await page.goto(host.url);
  await loaded(page);
  expect(await read(page)).toContain(cli([NOTE], "read")[0]);
  await expect(page.locator("#loading-title")).toBeHidden();
  await expect(page.locator("#loading-kept")).toBeVisible();
});

test("it lies in any folder of a host", async ({ page, made }) => {
  const host = new Host(dirname(made));
  await host.start();
  const address = `${host.url}${basename(made)}/`;
  await page.goto(address);
  await loaded(page);
  await settled(page);
  const said = await read(page);
  expect(said).toContain(cli([NOTE], "read")[0]);
  expect(host.asked.filter(({ path }) => !path.startsWith(`/${basename(made)}/`)).map(({ path }) => path)).toEqual([]);
  await host.stop();
  await page.goto(address);
  await loaded(page);
  expect(await read(page)).toBe(said);
});

test("by plain http it answers, keeps nothing, and says why there is no camera", async ({ browser, made }) => {
  const address = Object.values(networkInterfaces()).flat().find((one) => one?.family === "IPv4" && !one.internal)?.address;
  test.skip(address === undefined, "this computer has no address but its own");
  const host = new Host(made);
  await host.start(address);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(host.url);
  await loaded(page);
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  expect(await read(page)).toContain(cli([NOTE], "read")[0]);
  const sent = host.sent(/\.(onnx|wasm)$/);
  await page.goto(`${host.url}?again#live`);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#view-live")).toContainText("The browser gives no camera to this address");
  await read(page);
  expect(host.sent(/\.(onnx|wasm)$/)).toBe(2 * sent);
  await context.close();
  await host.stop();
});
