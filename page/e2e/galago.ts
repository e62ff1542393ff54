import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { test as base, type Page } from "@playwright/test";
import { ANSWERS, ENVIRONMENT, PYTHON, TOP } from "./places";
import { plain } from "./setup";

/** A port that nobody listens at. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** `galago serve`, as a process of its own. */
export class Galago {
  private process: ChildProcess | null = null;
  private said = "";
  url = "";

  constructor(
    private readonly options: string[] = [],
    private readonly environment: Record<string, string> = {},
  ) {}

  async start(): Promise<void> {
    const port = this.url ? new URL(this.url).port : String(await freePort());
    this.url = `http://127.0.0.1:${port}/`;
    const command = ["-m", "galago", "serve", "--port", port, ...this.options];
    const started = spawn(PYTHON, command, { cwd: TOP, env: { ...ENVIRONMENT, ...this.environment } });
    started.stderr.on("data", (data) => (this.said += data));
    started.stdout.resume();
    this.process = started;
    const until = Date.now() + 60_000;
    while (!(await this.answers())) {
      if (started.exitCode !== null || Date.now() > until) throw new Error(`no server: ${this.said}`);
      await new Promise((done) => setTimeout(done, 200));
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.process === null || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, "exit");
    this.wake();
    this.process.kill(signal);
    await gone;
  }

  /** Stop its processor time, as a computer that sleeps does: connections are taken, nothing is answered. */
  hang(): void {
    this.process?.kill("SIGSTOP");
  }

  wake(): void {
    this.process?.kill("SIGCONT");
  }

  private async answers(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}health`)).ok;
    } catch {
      return false;
    }
  }
}

/** What the command line says about pictures. */
export function cli(pictures: string[], preset: string): string[] {
  const answers = JSON.parse(readFileSync(ANSWERS, "utf-8")) as Record<string, Record<string, string>>;
  return pictures.map((path) => answers[preset]?.[path] ?? "not asked");
}

export const history = async (page: Page): Promise<string[]> =>
  (await page.locator("#history li > span[lang]").allTextContents()).map(plain);

/** A test with a running server, and a page that has met neither errors nor foreign hosts. */
export const test = base.extend<
  { calm: void; serve: (...options: string[]) => Promise<Galago> },
  { galago: Galago }
>({
  galago: [
    async ({}, use) => {
      const galago = new Galago();
      await galago.start();
      await use(galago);
      await galago.stop();
    },
    { scope: "worker", timeout: 90_000 },
  ],
  // A server of a test's own, for those that stop it.
  serve: async ({}, use) => {
    const started: Galago[] = [];
    await use(async (...options) => {
      const galago = new Galago(options);
      started.push(galago);
      await galago.start();
      return galago;
    });
    for (const galago of started) await galago.stop();
  },
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

export { plain };
export { expect } from "@playwright/test";
