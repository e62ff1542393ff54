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

test("in Chinese all but the model's words is Chinese, and those are marked", async ({ page, galago }) => {
  await page.addInitScript(() => localStorage.setItem("galago", JSON.stringify({ language: "zh" })));
  const chinese = /[\u4e00-\u9fff]/;
  await page.goto(`${galago.url}#album`);
  for (const hint of await page.locator("[placeholder]").all()) {
    expect(await hint.getAttribute("placeholder")).toMatch(chinese);
  }
  await page.locator("#find-text").fill("carrots");
  await page.keyboard.press("Enter");
  await expect(page.locator("#hits .tile").first().locator("img")).toHaveAttribute("alt", "可能是：胡萝卜");
  await expect(page.locator("#hits .tile").first()).toContainText("很相符");
  await page.goto(`${galago.url}#picture`);
  const note = page.locator("#view-picture .model-note");
  await expect(note).toContainText("模型一般用英文回答");
  expect(((await note.textContent()) ?? "").replace("fastvlm-nano", "")).not.toMatch(/[a-z]{2}/i);
  await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "album", "IMG_6148.jpg"));
  await page.locator("#asks button").first().click();
  await expect(page.locator("#chat .answer")).toHaveAttribute("lang", "en");
  await expect(page.locator("#chat .unsure")).toHaveText(chinese);
  await page.route("**/v1/chat/completions", (route) =>
    route.fulfill({ status: 400, json: { error: { message: "the model is out of breath" } } }));
  await page.locator("#asks button").first().click();
  await expect(page.locator("#chat .error")).toHaveAttribute("lang", "en"); // the server's words
  await expect(page.locator("#said")).toHaveAttribute("lang", "en");
  await page.goto(galago.url);
  await page.locator("#go").click();
  await expect(page.locator("#stage-text")).toHaveText("the model is out of breath");
  await expect(page.locator("#stage-text")).toHaveAttribute("lang", "en");
});

test("remarks follow the language of the page", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "album", "IMG_6148.jpg"));
  await page.locator("#asks button").first().click();
  await expect(page.locator("#chat .unsure")).toHaveText("Not sure: this may well be wrong.");
  await page.locator("#settings-open").click();
  await page.locator("#set-language").selectOption("zh");
  await expect(page.locator("#chat .unsure")).toHaveText("没有把握：很可能不对。");
  await expect(page.locator("#shown")).toHaveAttribute("alt", "正在提问的图片：IMG_6148.jpg");
});

test("without a voice nothing offers to read, and that is said", async ({ page, galago }) => {
  await page.addInitScript(() => {
    SpeechSynthesis.prototype.getVoices = () => [];
    localStorage.setItem("galago", JSON.stringify({ speak: true }));
  });
  await page.goto(galago.url);
  const aloud = page.getByRole("button", { name: "Read aloud" });
  await expect(aloud).toBeDisabled();
  await expect(aloud).toHaveAttribute("aria-pressed", "false");
  await expect(aloud).toHaveAccessibleDescription("This browser has no voice to read with.");
  await expect(page.locator("#speak-none")).toBeVisible();
  await page.getByRole("button", { name: "Settings" }).click();
  const sample = page.getByRole("button", { name: "Try", exact: true });
  await expect(sample).toBeDisabled();
  await expect(sample).toHaveAccessibleDescription("This browser has no voice to read with.");
  // Voices may come late.
  await page.evaluate(() => {
    const voice = { name: "Ann", lang: "en-GB", voiceURI: "ann", default: true, localService: true };
    SpeechSynthesis.prototype.getVoices = () => [voice];
    speechSynthesis.dispatchEvent(new Event("voiceschanged"));
  });
  await expect(sample).toBeEnabled();
  await page.keyboard.press("Escape");
  await expect(aloud).toBeEnabled();
  await expect(aloud).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#speak-none")).toBeHidden();
});

test("captions are read aloud; of those that come meanwhile only the newest", async ({ page, galago }) => {
  await page.addInitScript(() => {
    const said: { text: string; rate: number; newest: string | null | undefined }[] = [];
    let speaking = false;
    const voice = { name: "Ann", lang: "en-GB", voiceURI: "ann", default: true, localService: true };
    SpeechSynthesis.prototype.getVoices = () => [voice];
    Object.defineProperty(SpeechSynthesisUtterance.prototype, "voice", { value: null, writable: true });
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
    await expect(page.locator(`#view-${view}`)).toBeVisible();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, view).toBeLessThanOrEqual(360);
    const boxes = page.locator("button:visible, label.button:visible, .chip:visible, nav a, select:visible");
    for (const box of await boxes.all()) {
      const size = await box.boundingBox();
      expect(size?.height, await box.innerHTML()).toBeGreaterThanOrEqual(44);
    }
  }
});
