import { defineConfig } from "@playwright/test";
import { CLIP } from "./e2e/places";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const ARGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-video-capture=${CLIP}`,
];

export default defineConfig({
  testDir: "e2e",
  globalSetup: "./e2e/setup.ts",
  outputDir: "test-results",
  workers: 1, // the model needs the processor
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: "list",
  use: {
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    actionTimeout: 15_000,
    launchOptions: {
      executablePath: CHROMIUM,
      args: [...ARGS, "--disable-gpu"],
    },
  },
  projects: [
    { name: "e2e", testMatch: "*.spec.ts" },
    { name: "web", testMatch: "*.web.ts" }, // the page without a server
    {
      name: "web-gpu", // WebGPU computed by SwiftShader, a program: minutes
      testMatch: "*.gpu.ts",
      timeout: 900_000,
      use: { launchOptions: { executablePath: CHROMIUM, args: [...ARGS, "--enable-unsafe-webgpu"] } },
    },
    {
      name: "web-firefox", // Debian's, driven by WebDriver BiDi: minutes
      testMatch: /\.(web|firefox)\.ts$/,
      grepInvert: /@chromium/,
      timeout: 180_000,
      use: {
        browserName: "firefox",
        channel: "moz-firefox",
        launchOptions: {
          executablePath: FIREFOX,
          firefoxUserPrefs: {
            "media.navigator.streams.fake": true,
            "media.navigator.permission.disabled": true,
            "services.settings.server": "data:,", // nothing of its maker's is fetched
          },
        },
      },
    },
    { name: "figures", testMatch: "figures.ts", timeout: 300_000 },
    { name: "screenshots", testMatch: /(^|\/)(web-)?screenshots\.ts$/ },
  ],
});
