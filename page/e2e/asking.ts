import type { Page } from "@playwright/test";
import { expect } from "./site";

/** Open the picture view on a picture; a conversation before is forgotten. */
export async function show(page: Page, address: string, picture: string): Promise<void> {
  const [now, wanted] = [page.url(), address].map((one) => one.replace(/#.*/, ""));
  if (now !== wanted) await page.goto(address);
  await page.locator("#asks button").first().waitFor({ state: "attached" }); // the page knows what it can ask
  await page.getByRole("link", { name: "Picture" }).click();
  await page.locator("#picture-file").setInputFiles(picture);
  await expect(page.locator("#shown")).toBeVisible();
  await expect(page.locator("#chat .answer")).toHaveCount(0);
}

/** Ask by words; the whole answer. */
export async function ask(page: Page, words: string, timeout = 60_000): Promise<string> {
  const before = await page.locator("#chat .answer").count();
  await page.locator("#ask-text").fill(words);
  await page.keyboard.press("Enter");
  const last = page.locator("#chat .answer").nth(before);
  await expect(last).not.toHaveAttribute("aria-busy", { timeout });
  return (await last.textContent()) ?? "";
}
