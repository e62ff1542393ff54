import { ask, expect, test } from "./lone";
import { NOTE } from "./places";
import { replies } from "./replies";

/** Open the picture view on a picture. */
async function show(page: import("@playwright/test").Page, url: string, picture: string): Promise<void> {
  await page.goto(`${url}#picture`);
  await page.locator("#asks button").first().waitFor(); // the page knows what it can ask
  await page.locator("#picture-file").setInputFiles(picture);
  await expect(page.locator("#shown")).toBeVisible();
}

test("answers on pictures, known and unknown, are Python's, and so is the doubt", async ({ page, host }) => {
  test.setTimeout(180_000);
  const wanted = replies().replies;
  expect(wanted.some(({ doubted }) => doubted)).toBe(true);
  let shown = "";
  for (const { picture, prompt, text, doubted } of wanted) {
    if (picture !== shown) await show(page, host.url, picture);
    else await page.locator("#picture-file").setInputFiles(picture); // forget the talk
    shown = picture;
    await expect(page.locator("#chat .answer")).toHaveCount(0);
    expect(await ask(page, prompt), `${picture}: ${prompt}`).toBe(text);
    await expect(page.locator("#chat .unsure"), `${picture}: ${prompt}`).toHaveCount(doubted ? 1 : 0);
  }
});

test("a follow-up question knows what was said, as Python's", async ({ page, host }) => {
  await show(page, host.url, NOTE);
  for (const { question, text } of replies().talk) expect(await ask(page, question)).toBe(text);
});
