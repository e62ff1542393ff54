import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { join } from "node:path";
import { expect, history, test } from "./galago";
import { EXAMPLES } from "./places";

const serious = async (page: Page): Promise<string[]> => {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return bad.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
};

for (const look of [
  { name: "light", theme: "light", contrast: "auto", language: "en" },
  { name: "dark", theme: "dark", contrast: "auto", language: "en" },
  { name: "high contrast, Chinese", theme: "light", contrast: "more", language: "zh" },
  { name: "dark high contrast", theme: "dark", contrast: "more", language: "en" },
]) {
  test(`axe finds nothing serious: ${look.name}`, async ({ page, galago }) => {
    await page.addInitScript((chosen) => localStorage.setItem("galago", JSON.stringify(chosen)), look);
    await page.goto(galago.url);
    await page.locator("#go").click();
    await expect(page.locator("#history li").first()).toBeVisible();
    expect(await serious(page)).toEqual([]);
    await page.locator("#settings-open").click();
    expect(await serious(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.goto(`${galago.url}#picture`);
    await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "note.png"));
    await page.locator("#asks button").first().click();
    await expect(page.locator("#chat .answer")).not.toBeEmpty();
    expect(await serious(page)).toEqual([]);
    await page.goto(`${galago.url}#album`);
    await page.locator("#find-text").fill("banana");
    await page.keyboard.press("Enter");
    await expect(page.locator("#hits li").first()).toBeVisible();
    expect(await serious(page)).toEqual([]);
  });
}

/** Press Tab until the element has the focus; the walk must get there. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    if (await page.locator(selector).first().evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error(`the keyboard doesn't reach ${selector}`);
}

test("everything by keyboard", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await tabTo(page, "#go");
  await page.keyboard.press("Space");
  await expect.poll(async () => (await history(page)).length).toBeGreaterThan(0);
  await tabTo(page, "#presets input:checked");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("radio", { name: "Read" })).toBeChecked();
  await tabTo(page, "#clear");
  await page.keyboard.press("Enter");
  await page.goto(`${galago.url}`);
  await tabTo(page, 'nav a[href="#album"]');
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Find photos" })).toBeFocused();
  await tabTo(page, "#find-text");
  await page.keyboard.type("banana");
  await page.keyboard.press("Enter");
  await expect(page.locator("#hits li").first()).toBeVisible();
  await tabTo(page, "#hits .tile");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.locator("#hits .tile").first()).toBeFocused();
});

test("the language is chosen once and kept", async ({ page, galago }) => {
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("combobox", { name: "Language" }).selectOption("zh");
  await expect(page.getByRole("heading", { name: "设置" })).toBeVisible();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("lang", "zh");
  await expect(page.getByRole("button", { name: "开始" })).toBeVisible();
  await expect(page.getByRole("radio", { name: "数手指" })).toBeVisible();
});

test("captions are read aloud; of those that come meanwhile only the newest", async ({ page, galago }) => {
  await page.addInitScript(() => {
    const said: { text: string; rate: number; newest: string | null | undefined }[] = [];
    let speaking = false;
    Object.defineProperty(SpeechSynthesis.prototype, "speaking", { get: () => speaking });
    SpeechSynthesis.prototype.speak = (utterance) => {
      speaking = true;
      const newest = document.querySelector("#history li > span")?.textContent;
      said.push({ text: utterance.text, rate: utterance.rate, newest });
      const end = () => {
        speaking = false;
        utterance.dispatchEvent(new Event("end"));
      };
      setTimeout(end, 7000); // two pictures of the clip go by
    };
    Object.assign(window, { said });
    localStorage.setItem("galago", JSON.stringify({ rate: 1.5 }));
  });
  await page.goto(galago.url);
  await page.getByRole("button", { name: "Read aloud" }).click();
  await expect(page.getByRole("button", { name: "Read aloud" })).toHaveAttribute("aria-pressed", "true");
  await page.getByRole("button", { name: "Start" }).click();
  type Said = { text: string; rate: number; newest: string };
  const said = () => page.evaluate(() => (window as unknown as { said: Said[] }).said);
  await expect.poll(async () => (await said()).length).toBe(2);
  const second = (await said())[1];
  expect(second?.text).toBe(second?.newest);
  expect(second?.rate).toBe(1.5);
  expect((await history(page)).length).toBeGreaterThan(2); // so one was left out
});

test("nothing is wider than a phone, and targets are large", async ({ page, galago }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const view of ["live", "picture", "album"]) {
    await page.goto(`${galago.url}#${view}`);
    await expect(page.locator(`#${view}`)).toBeVisible();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, view).toBeLessThanOrEqual(360);
    const boxes = page.locator("button:visible, label.button:visible, .chip:visible, nav a, select:visible");
    for (const box of await boxes.all()) {
      const size = await box.boundingBox();
      expect(size?.height, await box.innerHTML()).toBeGreaterThanOrEqual(44);
    }
  }
});
