import { readdirSync } from "node:fs";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, history, plain, test } from "./galago";
import { ENVIRONMENT } from "./places";

const NAME = "remembered";
const pictures = (): string[] => {
  try {
    const all = readdirSync(join(ENVIRONMENT.GALAGO_ALBUMS, NAME, "seen"), { recursive: true });
    return all.map(String).filter((name) => name.endsWith(".jpg"));
  } catch {
    return []; // no such album yet
  }
};
const wanted = (page: Page) => page.getByRole("switch", { name: "Remember what the camera sees" });

test("a server that was not started for it offers no memory", async ({ page, galago }) => {
  await page.goto(galago.url);
  await expect(page.locator("#version")).toHaveText(/galago/);
  await expect(page.locator("#remember-card")).toBeHidden();
});

test("what the camera sees is remembered when a person wants it, found, and forgotten", async ({ page, serve }) => {
  const galago = await serve("--remember", "--keep", "7d", "--album", NAME);
  let sent = 0;
  page.on("request", (request) => (sent += Number(request.url().endsWith("/api/seen"))));
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect.poll(async () => (await history(page)).length, { timeout: 25_000 }).toBeGreaterThan(1);
  await expect(wanted(page)).not.toBeChecked();
  await expect(page.locator("#remembering")).toBeHidden();
  expect([sent, pictures()]).toEqual([0, []]); // off until it is turned on

  await wanted(page).check();
  await expect(page.locator("#remembering")).toBeVisible();
  await expect(page.locator("#remember-help")).toContainText("They stay for 7 days.");
  await expect(page.locator("#remember-count")).toHaveText(/^[3-9] remembered$/, { timeout: 40_000 });
  const axe = await new AxeBuilder({ page }).include("#view-live").analyze();
  expect(axe.violations).toEqual([]);
  await page.getByRole("button", { name: "Pause" }).click();
  const seen = await history(page);
  expect(pictures().length).toBeGreaterThan(2);

  await page.getByRole("link", { name: "Album" }).click();
  await page.locator("#find-text").fill("a hand");
  await expect(async () => {
    await page.locator("#find-text").press("Enter"); // the server looks for a new album now and then
    await expect(page.locator("#hits li, #rest-hits li").first()).toBeAttached({ timeout: 3_000 });
  }).toPass({ timeout: 30_000 });
  const tiles = await page.locator("#hits .name, #rest-hits .name").allTextContents();
  for (const tile of tiles) {
    expect(tile).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: /);
    expect(seen).toContain(plain(tile.slice(21)));
  }

  await page.getByRole("link", { name: "Live" }).click();
  const count = pictures().length;
  await page.getByRole("button", { name: "Forget the last hour" }).click();
  await expect(page.locator("#remember-told")).toHaveText(`${count} scenes were forgotten.`);
  expect(pictures()).toEqual([]);

  await page.reload(); // nobody has turned it on since
  await expect(wanted(page)).not.toBeChecked();
});

test("what can't be remembered is told, and captions go on", async ({ page, serve }) => {
  const galago = await serve("--remember", "--album", NAME);
  await page.route("**/api/seen", (route) =>
    route.fulfill({ status: 500, json: { error: { message: "the disk is full" } } }),
  );
  await page.goto(galago.url);
  await wanted(page).check();
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#remember-told")).toHaveText("Not remembered: the disk is full");
  const before = (await history(page)).length;
  await expect.poll(async () => (await history(page)).length, { timeout: 25_000 }).toBeGreaterThan(before);
});
