import AxeBuilder from "@axe-core/playwright";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect } from "./galago";
import { indexPictures, test } from "./newcomer";
import { ENVIRONMENT, EXAMPLES, PYTHON } from "./places";

const serious = async (page: Page): Promise<string[]> => {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return bad.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
};

test("album work: a folder is chosen, indexed and searched without the command line", async ({ page, newcomer }) => {
  await page.goto(`${newcomer.galago.url}#album`);
  await page.getByRole("button", { name: "Add photos" }).click(); // there is no album yet
  await expect(page.getByRole("textbox", { name: "Folder on this computer" })).toBeFocused();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Add photos");
  await page.getByText("Choose a folder").click();
  await expect(page.locator("#choose-at")).toHaveText(newcomer.home);
  await expect(page.locator("#choose-list button")).toHaveText(["Documents", "Pictures"]);
  await page.getByRole("button", { name: "Pictures", exact: true }).click();
  await expect(page.locator("#choose-at")).toBeFocused();
  await expect(page.locator("#add-path")).toHaveValue(join(newcomer.home, "Pictures"));
  expect(await serious(page)).toEqual([]);
  await page.getByRole("button", { name: "Add its photos" }).click();
  const line = page.locator("#run-line");
  await expect(line).toHaveText("10 photos in the album · 9 new · 1 known by their content · 1 can't be read", { timeout: 60_000 });
  await expect(page.locator("#said")).toContainText("10 photos in the album");
  await page.getByText("One can't be read").click();
  await expect(page.locator("#run-unread li")).toContainText("damaged.jpg");
  await expect(page.locator("#add-folders li")).toHaveText(join(newcomer.home, "Pictures"));
  await page.getByRole("tab", { name: "Search" }).click();
  await expect(page.locator("#found")).toContainText("10 photos");
  const name = readdirSync(join(newcomer.home, "Pictures", "2024 Garden")).sort()[0] ?? "";
  await page.locator("#find-file").setInputFiles(join(newcomer.home, "Pictures", "2024 Garden", name));
  await expect(page.locator("#hits .tile").first()).toContainText(name);
});

test("album work: what waits for another galago is told, found again on reload, and stopped", async ({ page, newcomer }) => {
  const hold = `
import sys; from pathlib import Path; from galago.album.store import write_lock
with write_lock(Path(sys.argv[1])): print("held", flush=True); sys.stdin.read()`;
  const other = spawn(PYTHON, ["-c", hold, join(newcomer.albums, "default")], { env: ENVIRONMENT, cwd: join(EXAMPLES, "..") });
  await once(other.stdout, "data");
  await page.goto(`${newcomer.galago.url}#album`);
  await page.getByRole("tab", { name: "Add photos" }).click();
  await page.locator("#add-path").fill("~/Pictures");
  await page.keyboard.press("Enter");
  const line = page.locator("#run-line");
  await expect(line).toContainText("waiting for another galago");
  await page.reload();
  await page.getByRole("tab", { name: "Add photos" }).click();
  await expect(line).toContainText("waiting for another galago");
  await expect(page.getByRole("button", { name: "Add its photos" })).toBeDisabled();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(line).toHaveText("Stopped.");
  other.stdin.end();
  await once(other, "exit");
  await page.locator("#add-path").fill("~/Pictures");
  await page.keyboard.press("Enter");
  await expect(line).toContainText("10 photos in the album", { timeout: 60_000 });
});

test("album work: folders that can't be are told, and so is who may not", async ({ page, newcomer }) => {
  await page.goto(`${newcomer.galago.url}#album`);
  await page.getByRole("tab", { name: "Add photos" }).click();
  const told = page.locator("#add-error");
  const go = page.getByRole("button", { name: "Add its photos" });
  await go.click();
  await expect(told).toHaveText("Name a folder first.");
  for (const [path, words] of [
    ["/nowhere/at/all", "there is no folder /nowhere/at/all"],
    [join(newcomer.home, "Documents/letter.txt"), "is a file; give the folder"],
    ["Pictures", "name a whole path"],
  ] as const) {
    await page.locator("#add-path").fill(path);
    await go.click();
    await expect(told).toContainText(words);
  }
  await page.locator("#add-path").fill("~/Documents");
  await go.click();
  await expect(page.locator("#run-line")).toContainText("no picture");
  await expect(page.locator("#run-line")).toHaveClass("error");
  await page.route("**/api/index", async (route) => {
    const state = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...state, refusal: "only for the person at this computer" } });
  });
  await page.reload();
  await page.getByRole("tab", { name: "Add photos" }).click();
  await expect(page.locator("#add-refused")).toHaveText("only for the person at this computer");
  await expect(page.locator("#add")).toBeHidden();
});

test("album work: copies side by side, and a list of those that aren't needed", async ({ page, newcomer, context }) => {
  indexPictures(newcomer);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${newcomer.galago.url}#album`);
  await page.getByRole("tab", { name: "Search" }).focus();
  await page.keyboard.press("End"); // as the keyboard goes through tabs
  await expect(page.getByRole("tab", { name: "Copies" })).toBeFocused();
  await page.getByRole("button", { name: "Look for copies" }).click();
  await expect(page.locator("#copies-said")).toHaveText("3 groups of 7 photos.", { timeout: 60_000 });
  const groups = page.locator("#copies .group");
  await expect(groups).toHaveCount(3);
  const first = groups.first();
  await expect(first.getByRole("heading")).toHaveText("Group 1: 3 photos");
  await expect(first.locator(".copy").first()).toContainText(/\d+ × \d+ · \d+ kB/);
  await expect(first.locator(".copy").first()).toContainText("taken 11 May 2024, 14:21");
  await expect(first.locator(".copy").first()).toContainText("largest");
  await expect(first.locator(".copy").filter({ hasText: "(small)" })).toContainText("file of 2 Jan 2025, 09:00");
  await expect(first.locator("input").first()).toHaveAccessibleName(/2024 Garden.* not needed/);
  await expect.poll(() => first.locator("img").first().evaluate((each: HTMLImageElement) => each.naturalWidth)).toBeGreaterThan(0);
  expect(await serious(page)).toEqual([]);
  await page.getByRole("button", { name: "Mark all but the largest" }).click();
  await expect(page.locator("#copies-marked")).toContainText("4 marked");
  await expect(page.locator("#copies-whole")).toBeHidden();
  await page.getByRole("button", { name: "Copy paths" }).click();
  await expect(page.locator("#said")).toHaveText("Copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.trim().split("\n")).toHaveLength(4);
  const listed = execFileSync("bash", ["-c", `printf '%s\\0' ${copied.replaceAll("\n", " ")}`]);
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save list" }).click();
  const saved = readFileSync(await (await coming).path());
  expect(saved).toEqual(listed);
  expect(saved.toString().split("\0").filter(Boolean).sort()).toEqual(
    readdirSync(join(newcomer.home, "Pictures/from the phone")).map((name) => join(newcomer.home, "Pictures/from the phone", name)).sort(),
  );
  await first.locator("input").first().check();
  await expect(page.locator("#copies-whole")).toHaveText("Of these groups all photos are marked: 1.");
  rmSync(saved.toString().split("\0")[0] ?? ""); // by whatever the person deletes with
  await page.getByRole("tab", { name: "Search" }).click();
  await page.getByRole("tab", { name: "Copies" }).click();
  await expect(page.locator("#copies")).toContainText("Not there any more.");
});

test("album work: on a phone nothing is wider than the screen", async ({ page, newcomer }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.addInitScript(() => localStorage.setItem("galago", JSON.stringify({ language: "zh" })));
  await page.goto(`${newcomer.galago.url}#album`);
  for (const name of ["添加照片", "重复照片"]) {
    await page.getByRole("tab", { name }).click();
    if (name === "添加照片") await page.getByText("选择文件夹").click();
    expect(await page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(360);
    for (const box of await page.locator("button:visible, summary:visible").all()) {
      expect((await box.boundingBox())?.height, await box.innerHTML()).toBeGreaterThanOrEqual(44);
    }
    expect(await serious(page)).toEqual([]);
  }
});

test("album work: live pictures are for the quick model, and for the other one when it can't be had", async ({ page, galago }) => {
  let live: string | null = "apple/FastVLM-0.5B";
  const asked: string[] = [];
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as object;
    await route.fulfill({ json: { ...info, live } });
  });
  await page.route("**/v1/chat/completions", async (route) => {
    const body = route.request().postDataJSON() as { model: string };
    asked.push(body.model);
    if (body.model !== "apple/FastVLM-0.5B") return route.continue();
    live = null;
    await route.fulfill({ status: 503, headers: { "Retry-After": "1" }, json: { error: { message: "no memory" } } });
  });
  await page.goto(galago.url);
  await expect(page.locator("#live-note")).toContainText("apple/FastVLM-0.5B looks here");
  await expect(page.locator("#view-picture .model-note")).not.toContainText("apple/FastVLM-0.5B");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#caption")).not.toBeEmpty();
  expect(asked.slice(0, 2)).toEqual(["apple/FastVLM-0.5B", "fastvlm-nano"]);
  await expect(page.locator("#live-note")).toContainText("fastvlm-nano is a small demonstration model");
});
