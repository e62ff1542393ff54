import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { extname, join, normalize } from "node:path";
import { test as base, type Page } from "@playwright/test";
import { ENVIRONMENT, MADE, PYTHON, TOP } from "./places";

/** The page without a server: exported once a run, from what `npm run web` has built. */
export function site(): string {
  const folder = process.env.GALAGO_SITE ?? join(MADE, "site");
  if (!existsSync(folder)) {
    const runtime = join(import.meta.dirname, "../node_modules/onnxruntime-web");
    const command = ["-m", "galago", "export", "fastvlm-nano", folder, "--to", "web", "--runtime", runtime];
    execFileSync(PYTHON, command, { cwd: TOP, env: ENVIRONMENT, stdio: ["ignore", "ignore", "pipe"] });
  }
  return folder;
}

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** Hands out a folder as hosts of static files do; `isolated`: with the headers that threads need. */
export class Host {
  private server: Server | null = null;
  url = "";
  readonly asked: string[] = [];

  constructor(
    private readonly folder: string,
    private readonly isolated: boolean,
  ) {}

  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname);
      this.asked.push(path);
      const file = join(this.folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
      if (!file.startsWith(this.folder) || !existsSync(file) || !statSync(file).isFile()) {
        response.writeHead(404).end();
        return;
      }
      const headers: Record<string, string> = { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" };
      if (this.isolated) {
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Embedder-Policy"] = "require-corp";
      }
      response.writeHead(200, headers).end(readFileSync(file));
    }).listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const address = this.server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.url = `http://127.0.0.1:${address.port}/`;
    return this;
  }

  stop(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }
}

/** Ask by the page's own engine's view: the picture, then words; what the page wrote last. */
export async function ask(page: Page, words: string): Promise<string> {
  const answers = page.locator("#chat .answer");
  const before = await answers.count();
  await page.locator("#ask-text").fill(words);
  await page.keyboard.press("Enter");
  const last = answers.nth(before);
  await last.waitFor();
  await page.waitForFunction((n) => !document.querySelectorAll("#chat .answer")[n]?.hasAttribute("aria-busy"), before);
  return (await last.textContent()) ?? "";
}

/** A test with the page without a server, by a host with or without the headers that threads need. */
export const test = base.extend<{ calm: void }, { host: Host; bare: Host }>({
  host: [
    async ({}, use) => {
      const host = await new Host(site(), true).start();
      await use(host);
      host.stop();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  bare: [
    async ({}, use) => {
      const host = await new Host(site(), false).start();
      await use(host);
      host.stop();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  calm: [
    async ({ page }, use) => {
      const trouble: string[] = [];
      page.on("pageerror", (error) => trouble.push(String(error)));
      page.on("console", (message) => {
        if (/Content.Security.Policy/i.test(message.text())) trouble.push(message.text());
      });
      page.on("request", (request) => {
        const { protocol, hostname } = new URL(request.url());
        if (protocol !== "blob:" && protocol !== "data:" && hostname !== "127.0.0.1") trouble.push(request.url());
      });
      await use();
      if (trouble.length) throw new Error(trouble.join("\n"));
    },
    { auto: true },
  ],
});

export { expect } from "@playwright/test";
