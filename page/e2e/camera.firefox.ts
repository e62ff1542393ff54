/** Firefox's own camera, which shows a pattern that changes, and its voices. */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { ENVIRONMENT, PYTHON, TOP } from "./places";
import { expect, plain, test } from "./site";

test("a picture of the camera is put into Python's words, then one after the other", async ({ page, host }, testInfo) => {
  await page.goto(host.url);
  await page.getByRole("button", { name: "One picture" }).click();
  const caption = page.locator("#caption");
  await expect(page.locator("#ttft")).toHaveText(/^first token \d+\.\d\d s$/, { timeout: 90_000 });
  const said = plain((await caption.textContent()) ?? "");
  // What is held is what was looked at.
  const shown = await page.locator("#video").evaluate((video: HTMLVideoElement) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d")!.drawImage(video, 0, 0);
    return canvas.toDataURL("image/png");
  });
  const picture = testInfo.outputPath("camera.png");
  writeFileSync(picture, Buffer.from(shown.split(",")[1] ?? "", "base64"));
  const line = execFileSync(PYTHON, ["-m", "galago", "describe", picture, "--json"], { cwd: TOP, env: ENVIRONMENT, stdio: ["ignore", "pipe", "ignore"] });
  expect(said).toBe(plain((JSON.parse(line.toString()) as { text: string }).text));
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#rate")).toHaveText(/^\d+\.\d frames\/s$/, { timeout: 30_000 });
  await expect(page.locator("#history li").first()).toBeVisible({ timeout: 60_000 });
  await page.getByRole("button", { name: "Pause" }).click();
});

test("it offers to read aloud where the system has a voice, else says that there is none", async ({ page, host }) => {
  await page.goto(host.url);
  await expect(page.locator("#version")).toHaveText(/^galago \d/);
  const voices = await page.evaluate(() => speechSynthesis.getVoices().length); // those that came late are heard of, too
  const aloud = page.getByRole("button", { name: "Read aloud" });
  await expect(aloud).toBeEnabled({ enabled: voices > 0 });
  await expect(page.locator("#speak-none")).toBeVisible({ visible: voices === 0 });
});
