/** Models beside the page's own: a folder that is named, and the hub, for which a host here stands in. */

import AxeBuilder from "@axe-core/playwright";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Page } from "@playwright/test";
import { ask, show } from "./asking";
import { ENVIRONMENT, MADE, NOTE, PYTHON, TOP } from "./places";
import { CHROMIUM, expect, Host, test } from "./site";

const READ = "What is written in this image? Output only the text in the image.";
const HUB = "https://huggingface.co";
const ID = "onnx-community/FastVLM-0.5B-ONNX";
const SHA = "0123456789abcdef0123456789abcdef01234567";

/** nano as `galago export --to onnx` writes it. */
function exported(dtypes: string): string {
  const folder = join(MADE, `nano-${dtypes.replace(",", "-")}`);
  const args = ["-m", "galago", "export", "fastvlm-nano", folder, "--to", "onnx", "--dtype", dtypes];
  if (!existsSync(folder)) execFileSync(PYTHON, args, { env: ENVIRONMENT, stdio: "ignore", cwd: TOP });
  return folder;
}

const open = (page: Page) => page.getByRole("button", { name: "Settings" }).click();
const close = (page: Page) => page.getByRole("button", { name: "Close" }).click();
const now = (page: Page) => page.locator("#models-now");
const clean = async (page: Page) =>
  expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);

/** Name a folder, with the settings open. */
async function name(page: Page, folder: string): Promise<void> {
  await open(page);
  await page.locator("#models-folder").setInputFiles(folder);
}

test("a model's folder answers as the page's own does, from where it lies", CHROMIUM, async ({ page, host }) => {
  test.setTimeout(180_000);
  await show(page, host.url, NOTE);
  const own = await ask(page, READ);
  expect(own).toBe("Free\ncoffee");
  const fetched = host.sent(/\.onnx$/);
  await name(page, exported("int8"));
  await expect(now(page)).toHaveText("nano-int8 answers.");
  await clean(page);
  await close(page);
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe(own);
  await expect(page.locator("#view-picture .model-note")).toHaveText("nano-int8");
  expect(host.sent(/\.onnx$/)).toBe(fetched);
  expect(host.asked.filter(({ path }) => path.includes("named"))).toEqual([]);
  await open(page);
  await page.getByRole("button", { name: "Back to fastvlm-nano" }).click();
  await expect(now(page)).toHaveText("fastvlm-nano answers.");
  await expect(page.locator("#models-back")).toBeHidden();
});

test("what a wrong folder lacks is told, and the page's own model goes on", CHROMIUM, async ({ page, host }) => {
  const folder = join(MADE, "wrong");
  rmSync(folder, { recursive: true, force: true });
  cpSync(exported("int8"), folder, { recursive: true });
  const file = (path: string) => join(folder, path);
  const told = page.locator("#models-error");
  await show(page, host.url, NOTE);
  await open(page);
  const wrong = async (words: string): Promise<void> => {
    await page.locator("#models-folder").setInputFiles(folder);
    await expect(told).toContainText(words);
    await expect(now(page)).toHaveText("fastvlm-nano answers.");
  };
  const config = JSON.parse(readFileSync(file("config.json"), "utf-8")) as object;
  writeFileSync(file("config.json"), JSON.stringify({ ...config, model_type: "idefics3" }));
  await wrong("another kind (idefics3)");
  rmSync(file("tokenizer.json"));
  await wrong("tokenizer.json is missing from this folder");
  rmSync(file("onnx/decoder_model_merged_int8.onnx"));
  await wrong("onnx/decoder_model_merged….onnx is missing");
  await clean(page);
});

test("float16 alone is refused where nothing computes in it", CHROMIUM, async ({ page, host }) => {
  await page.goto(host.url);
  await name(page, exported("fp16"));
  await expect(page.locator("#models-error")).toContainText("--dtype q4");
});

test("without a graphics processor the hub's model says why not, and nobody is asked", async ({ page, host }) => {
  await page.goto(host.url);
  await open(page);
  const hub = page.locator("#models-hub");
  await expect(hub).toContainText("this browser has no graphics processor to compute with (WebGPU)");
  await expect(hub.getByRole("button", { name: `Fetch ${ID}` })).toBeDisabled();
  await expect(hub).toContainText("about 1.1 GB");
  await expect(hub).toContainText("apple-amlr (research only, no commercial use)");
  await page.locator("#set-language").selectOption("zh");
  await expect(page.locator("#models legend")).toHaveText("回答问题的模型");
  await expect(hub).toContainText("此浏览器没有可用于计算的图形处理器");
  await expect(hub).toContainText("仅限研究");
});

/** Files as the hub lists and hands them out, and a page that asks this host instead of the hub. */
async function stand(site: string, folder: string): Promise<{ page: Host; hub: Host }> {
  rmSync(folder, { recursive: true, force: true });
  const files = join(folder, ID, "resolve", SHA);
  cpSync(exported("q4,fp16"), files, { recursive: true });
  const siblings = readdirSync(files, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { rfilename: path.slice(files.length + 1), size: bytes.length, ...(path.endsWith(".onnx") && { lfs: { sha256 } }) };
  });
  const list = join(folder, "api/models", ID, "revision/main");
  mkdirSync(dirname(list), { recursive: true });
  writeFileSync(list, JSON.stringify({ sha: SHA, siblings }));
  const hub = new Host(folder);
  hub.shared = true;
  await hub.start();
  const page = new Host(site);
  const assets = readdirSync(join(site, "assets")).filter((name) => name.endsWith(".js")).map((name) => `assets/${name}`);
  let changed = 0;
  for (const path of ["index.html", ...assets]) {
    const text = readFileSync(join(site, path), "utf-8");
    changed += Number(text.includes(HUB));
    writeFileSync(join(site, path), text.replaceAll(HUB, hub.url.replace(/\/$/, "")));
  }
  expect(changed).toBe(2); // the policy, and the page's script
  await page.start();
  return { page, hub };
}

test("the hub's model: asked after the click alone, stopped, gone on with, kept, used again, removed", async ({ page, copy }) => {
  test.setTimeout(240_000);
  const { page: host, hub } = await stand(copy(), join(MADE, "hub"));
  const weights = /\.onnx$/;
  await page.addInitScript(() => {
    // As a graphics processor looks to the page; the worker has none, and computes this small one itself.
    const adapter = { features: new Set<string>(), info: { vendor: "acme", architecture: "", device: "", description: "" } };
    Object.defineProperty(Navigator.prototype, "gpu", { get: () => ({ requestAdapter: () => Promise.resolve(adapter) }) });
    // A browser asks the person whether the page may keep so much, and nobody answers.
    StorageManager.prototype.persist = () => new Promise(() => {});
  });
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await open(page);
  const button = (words: string) => page.locator("#models-hub").getByRole("button", { name: words });
  await expect(button(`Fetch ${ID} from ${new URL(hub.url).host}`)).toBeEnabled();
  await clean(page);
  expect(hub.asked).toEqual([]);

  hub.slow = { path: weights, pause: 400 };
  await button(`Fetch ${ID}`).click();
  await expect.poll(() => hub.sent(weights)).toBeGreaterThan(2e5);
  await expect(page.locator("#loading")).toBeAttached();
  await expect(page.locator("#loading-list")).toContainText(ID);
  await button("Stop fetching").click();
  await expect(button(`Go on fetching ${ID}`)).toBeEnabled();
  await expect(now(page)).toHaveText("fastvlm-nano answers.");
  await expect(page.locator("#models-error")).toBeHidden();
  const stopped = hub.asked.length;
  hub.slow = null;

  await page.reload(); // what has arrived outlives what is tidied up at the next visit
  await open(page);
  await expect(button(`Go on fetching ${ID}`)).toBeEnabled();
  expect(hub.asked.length).toBe(stopped);
  await button(`Go on fetching ${ID}`).click();
  await expect(now(page)).toHaveText(`${ID} answers.`, { timeout: 60_000 });
  const again = hub.asked.slice(stopped);
  expect(again[0]?.range).toMatch(/^bytes=\d{5,}-$/);
  expect(new Set(again.map(({ path }) => path.split("/").at(-1))).size).toBe(again.length);
  const read = hub.asked.map(({ path }) => path).filter((path) => weights.test(path)).map((path) => path.split("/").at(-1));
  // This one's encoder is the page's own, byte for byte: kept already, by its digest.
  expect([...new Set(read)].sort()).toEqual(["decoder_model_merged_q4.onnx", "embed_tokens_fp16.onnx"]);
  await close(page);
  const answer = async (): Promise<string> => {
    await show(page, host.url, NOTE);
    return ask(page, READ);
  };
  expect(await answer()).toBe("Free\ncoffee");
  await expect(page.locator("#view-picture .model-note")).toHaveText(ID);

  await hub.stop(); // kept, and chosen, at the next visit
  await page.reload();
  expect(await answer()).toBe("Free\ncoffee");
  await expect(page.locator("#view-picture .model-note")).toHaveText(ID);
  const kept = () => page.evaluate(async () => (await (await caches.open("galago-files")).keys()).length);
  const before = await kept();
  await open(page);
  await button(`Remove ${ID}`).click();
  await expect(now(page)).toHaveText("fastvlm-nano answers.");
  await expect.poll(kept).toBeLessThan(before - 3);
  await button(`Fetch ${ID}`).click();
  await expect(page.locator("#models-error")).toHaveText("The hub does not answer, or not as expected. Try again later.");
  await host.stop();
});

test("without room for it the hub's model is not fetched", CHROMIUM, async ({ page, copy, context }) => {
  const { page: host, hub } = await stand(copy(), join(MADE, "hub-full"));
  await page.addInitScript(() => {
    const adapter = { features: new Set<string>(), info: { vendor: "acme", architecture: "", device: "", description: "" } };
    Object.defineProperty(Navigator.prototype, "gpu", { get: () => ({ requestAdapter: () => Promise.resolve(adapter) }) });
  });
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee"); // all of the page's own is there
  const session = await context.newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(host.url).origin, quotaSize: 1000 });
  await open(page);
  await page.getByRole("button", { name: `Fetch ${ID}` }).click();
  await expect(page.locator("#models-error")).toContainText("no room to keep the model", { timeout: 30_000 });
  await expect(now(page)).toHaveText("fastvlm-nano answers.");
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(host.url).origin });
  await hub.stop();
  await host.stop();
});

test("files of a version before go at the next visit, and no others", async ({ page, host }) => {
  await show(page, host.url, NOTE);
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  const kept = () => page.evaluate(async () => (await (await caches.open("galago-files")).keys()).map(({ url }) => url).sort());
  const before = await kept();
  expect(before.length).toBeGreaterThan(10);
  await page.evaluate(async () => (await caches.open("galago-files")).put("kept/older/0", new Response("old")));
  expect((await kept()).length).toBe(before.length + 1);
  await page.reload();
  await expect.poll(kept).toEqual(before);
});
