import { join } from "node:path";
import type { Locator } from "@playwright/test";
import { expect, test } from "./galago";
import { EXAMPLES, NOTE } from "./places";

/** Whether all of an element can be seen: inside the window and inside `frame`, if it scrolls. */
const seen = (element: Locator, frame?: string): Promise<boolean> =>
  element.evaluate((one, frame) => {
    const [box, within] = [one.getBoundingClientRect(), frame && document.querySelector(frame)];
    const edge = within ? within.getBoundingClientRect() : { top: 0, bottom: innerHeight };
    const top = Math.max(0, edge.top);
    return box.height > 0 && box.top >= top - 1 && box.bottom <= Math.min(innerHeight, edge.bottom) + 1;
  }, frame);

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 } });

  test("the header is one row, and each thing in it has its name", async ({ page, galago }) => {
    for (const width of [390, 360, 320]) {
      await page.setViewportSize({ width, height: 844 });
      await page.goto(galago.url);
      const things = page.locator(".top > .brand, .top nav a, #settings-open");
      const middles = await things.evaluateAll((all) =>
        all.map((one) => one.getBoundingClientRect()).map((box) => Math.round(box.top + box.height / 2)));
      expect(new Set(middles).size, `at ${width}`).toBe(1);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
    await page.getByRole("button", { name: "Settings" }).click();
    await expect(page.getByRole("dialog", { name: "Settings" })).toBeVisible();
  });

  test("an answer is in view when it is there, with its remark, and is told", async ({ page, galago }) => {
    await page.goto(`${galago.url}#picture`);
    await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "album", "IMG_6148.jpg"));
    for (let turn = 1; turn <= 3; turn++) {
      await page.evaluate(() => scrollTo(0, 0)); // back to the picture and the buttons
      await page.getByRole("button", { name: "Describe", exact: true }).click();
      await expect(page.locator("#chat .answer")).toHaveCount(turn);
      await expect(page.locator("#chat [aria-busy]")).toHaveCount(0);
      const last = page.locator("#chat .galago").last();
      await expect(last.locator(":scope > :last-child")).toHaveClass("unsure");
      expect(await seen(last.locator(":scope > :last-child"), "#chat")).toBe(true);
      expect(await seen(last.locator(".answer"), "#chat")).toBe(true);
    }
    const answer = (await page.locator("#chat .answer").last().textContent()) ?? "?";
    await expect(page.locator("#said")).toContainText(answer);
  });

  test("who scrolls away while an answer comes is left there", async ({ page, galago }) => {
    await page.addInitScript(() => {
      const send = window.fetch;
      window.fetch = async (...asked) => {
        const response = await send(...asked);
        if (!String(asked[0]).endsWith("chat/completions")) return response;
        const piece = (text: string) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`;
        const body = new ReadableStream({
          async start(controller) {
            for (let i = 0; i < 20; i++) {
              controller.enqueue(new TextEncoder().encode(piece(`word ${i}\n`)));
              await new Promise((done) => setTimeout(done, 100));
            }
            controller.enqueue(new TextEncoder().encode("data: [DONE]\n\n"));
            controller.close();
          },
        });
        return new Response(body);
      };
    });
    await page.goto(`${galago.url}#picture`);
    await page.locator("#picture-file").setInputFiles(NOTE);
    await page.getByRole("button", { name: "Describe", exact: true }).click();
    await expect(page.locator("#chat .answer")).toContainText("word 9");
    expect(await seen(page.locator("#chat .galago"))).toBe(true); // it follows
    await page.mouse.move(200, 300);
    // A turn of the wheel goes to the talk alone where that scrolls by itself already.
    const top = async (): Promise<number> => {
      await page.mouse.wheel(0, -2000);
      return page.evaluate(() => scrollY);
    };
    await expect.poll(top).toBe(0);
    await expect(page.locator("#chat [aria-busy]")).toHaveCount(0);
    expect(await page.evaluate(() => scrollY)).toBe(0);
  });
});

test("the conversation never hides its last line", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(join(EXAMPLES, "album", "IMG_6148.jpg"));
  for (let turn = 1; turn <= 5; turn++) {
    await page.locator("#asks button").nth(turn % 3).click();
    await expect(page.locator("#chat .answer")).toHaveCount(turn);
    await expect(page.locator("#chat [aria-busy]")).toHaveCount(0);
    expect(await seen(page.locator("#chat .galago").last().locator(":scope > :last-child"), "#chat")).toBe(true);
  }
});

test("a view that is opened by its address starts at the top, at any zoom", async ({ page, galago }) => {
  await page.setViewportSize({ width: 640, height: 400 }); // 1280 by 800 at 200 %
  for (const view of ["live", "picture", "album"]) {
    await page.goto("about:blank");
    await page.goto(`${galago.url}#${view}`);
    await expect(page.locator(`nav a[href="#${view}"]`)).toHaveAttribute("aria-current", "page");
    await page.waitForTimeout(300); // browsers scroll to what an address names, once it is there
    expect(await seen(page.locator("nav")), view).toBe(true);
  }
  await page.evaluate(() => scrollTo(0, 10_000));
  await page.evaluate(() => (location.hash = "#picture"));
  await expect(page.locator("#picture-title")).toBeFocused();
  expect(await seen(page.locator("nav"))).toBe(true);
});
