import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Page } from "@playwright/test";
import { build } from "vite";
import { speakOlder } from "./firefox";
import { test as base } from "./galago";
import { ENVIRONMENT, MADE, PYTHON, TOP } from "./places";

const KINDS: Record<string, string> = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
  ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** A host of static files, as simple as there are; it can fail as networks do. */
export class Host {
  private server: Server | null = null;
  private port = 0;
  private address = "127.0.0.1";
  range = true; // whether it sends parts of files
  shared = false; // whether pages of other hosts may read what it sends
  isolated: false | "require-corp" | "credentialless" = false; // the headers that threads need, and of which kind
  cut: { path: RegExp; after: number; times: number } | null = null; // break off after so many bytes
  slow: { path: RegExp; pause: number } | null = null; // ms before each piece of 64 kB
  readonly asked: { path: string; range: string | undefined; bytes: number }[] = [];

  constructor(readonly folder: string) {}

  get url(): string {
    return `http://${this.address}:${this.port}/`;
  }

  async start(address = this.address): Promise<void> {
    this.address = address;
    this.server = createServer((request, response) => void this.answer(request, response));
    this.server.listen(this.port, address);
    await once(this.server, "listening");
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((done) => this.server?.close(done));
    this.server = null;
  }

  /** How many bytes of files like this were sent. */
  sent(path: RegExp): number {
    return this.asked.filter((one) => path.test(one.path)).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? "/", this.url).pathname).replace(/\/$/, "/index.html");
    const file = join(this.folder, normalize(path));
    const noted = { path, range: request.headers.range, bytes: 0 };
    this.asked.push(noted);
    if (!file.startsWith(this.folder) || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    const whole = readFileSync(file);
    const from = this.range ? Number(/^bytes=(\d+)-$/.exec(noted.range ?? "")?.[1] ?? 0) : 0;
    const body = whole.subarray(from);
    response.writeHead(from ? 206 : 200, {
      "Content-Type": KINDS[extname(file)] ?? "application/octet-stream",
      "Content-Length": body.length,
      ...(this.shared && { "Access-Control-Allow-Origin": "*" }),
      ...(this.isolated && {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": this.isolated,
      }),
      ...(from && { "Content-Range": `bytes ${from}-${whole.length - 1}/${whole.length}` }),
    });
    const cut = this.cut !== null && this.cut.path.test(path) && this.cut.times-- > 0 ? this.cut.after : Infinity;
    for (let at = 0; at < body.length; at += 65_536) {
      if (at >= cut) return void response.destroy();
      if (this.slow?.path.test(path)) await new Promise((done) => setTimeout(done, this.slow?.pause));
      const piece = body.subarray(at, at + 65_536);
      noted.bytes += piece.length;
      if (!response.write(piece)) await drained(response);
      if (response.destroyed) return;
    }
    response.end();
  }
}

/** The page without a server as `galago export` writes it, and beside it files.ts as a module of its own. */
async function make(): Promise<string> {
  const folder = join(MADE, "site");
  if (existsSync(folder)) return folder;
  execFileSync(PYTHON, ["-m", "galago", "export", "fastvlm-nano", folder, "--to", "web"], { env: ENVIRONMENT, stdio: "ignore", cwd: TOP });
  await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      outDir: join(folder, "tested"),
      lib: { entry: join(import.meta.dirname, "../src/local/files.ts"), formats: ["es"], fileName: () => "files.js" },
    },
  });
  return folder;
}

/** Pages of a host; nothing else is asked, whoever asks: also workers. */
export const test = base.extend<{ again: boolean; host: Host; copy: () => string }, { made: string; spoken: void }>({
  // Whether a first visit's page may be opened again to have threads. Tests are quicker than people, and
  // would have it go from under their hands.
  again: [false, { option: true }],
  spoken: [
    async ({ browser, browserName }, use) => {
      if (browserName === "firefox") speakOlder(browser);
      await use();
    },
    { scope: "worker", auto: true },
  ],
  made: [async ({}, use) => use(await make()), { scope: "worker", timeout: 300_000 }],
  host: async ({ made, context, again }, use) => {
    if (!again) await context.addInitScript(() => location.protocol === "http:" && sessionStorage.setItem("galago-opened-again", ""));
    const host = new Host(made);
    await host.start();
    const strange: string[] = [];
    context.on("request", (request) => {
      const { protocol, host: name } = new URL(request.url());
      if (!["blob:", "data:"].includes(protocol) && !host.url.includes(name)) strange.push(request.url());
    });
    await use(host);
    await host.stop();
    if (strange.length) throw new Error(`other hosts were asked: ${strange.join(", ")}`);
  },
  // A copy of the site that a test may change.
  copy: async ({ made }, use, testInfo) => {
    await use(() => {
      const folder = testInfo.outputPath("site");
      cpSync(made, folder, { recursive: true });
      return folder;
    });
  },
});

/**
 * Of tests that Firefox can't be driven through: DevTools, whole folders, a camera's pictures from a file; axe
 * makes Debian's crash while a page loads. A host that is gone it reports as an error of the page.
 */
export const CHROMIUM = { tag: "@chromium" };

/**
 * Wait until the page's service worker has kept the page.
 *
 * The page opens itself again once, for threads: what was asked at that moment is asked of the new one.
 */
export const settled = async (page: Page): Promise<void> => {
  await kept(page).catch((error: unknown) => {
    if (!String(error).includes("context was destroyed")) throw error;
    return kept(page);
  });
};

const kept = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller) {
      await new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done, { once: true }));
    }
  });

export { expect, plain } from "./galago";

/** Until more can be written, or nobody listens any more. */
const drained = (response: ServerResponse): Promise<void> =>
  new Promise((done) => {
    const end = (): void => {
      response.off("drain", end).off("close", end);
      done();
    };
    response.on("drain", end).on("close", end);
  });
