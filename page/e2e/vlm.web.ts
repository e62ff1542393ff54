import { ask, show } from "./asking";
import { cli, history } from "./galago";
import { FRAMES, NOTE } from "./places";
import { replies } from "./replies";
import { CHROMIUM, expect, test } from "./site";

const READ = "What is written in this image? Output only the text in the image.";

for (const isolated of [false, "require-corp"] as const) {
  test(`answers and doubt are Python's, of pictures known and unknown${isolated ? "; two threads" : ""}`, async ({ page, host }) => {
    test.setTimeout(180_000);
    host.isolated = isolated;
    const wanted = replies().replies;
    expect(new Set(wanted.map(({ doubted }) => doubted)).size).toBe(2);
    for (const { picture, prompt, text, doubted } of wanted) {
      await show(page, host.url, picture);
      expect(await ask(page, prompt), `${picture}: ${prompt}`).toBe(text);
      await expect(page.locator("#chat .unsure"), `${picture}: ${prompt}`).toHaveCount(doubted ? 1 : 0);
    }
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated !== false);
    expect(host.sent(/asyncify\.wasm/)).toBe(0); // nor ever asked for without a graphics processor
  });
}

test("a follow-up question knows what was said, as Python's", async ({ page, host }) => {
  await show(page, host.url, NOTE);
  for (const { question, text } of replies().talk) expect(await ask(page, question)).toBe(text);
});

test("what the camera sees is put into the words of the command line", CHROMIUM, async ({ page, host }) => {
  const expected = cli(FRAMES, "describe");
  await page.goto(host.url);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator("#ttft")).toHaveText(/^first token \d+\.\d\d s$/, { timeout: 60_000 });
  await expect.poll(() => history(page), { timeout: 45_000 }).toEqual(expect.arrayContaining(expected));
});

test("a question is stopped at once, and the next one is answered", async ({ page, host }) => {
  await show(page, host.url, NOTE);
  await page.locator("#ask-text").fill(READ);
  await page.keyboard.press("Enter"); // while the model is still being read
  await page.locator("#ask-stop").click();
  await expect(page.locator("#chat .galago p.soft")).toHaveText("stopped");
  await expect(page.locator("#chat .answer")).toHaveText("");
  expect(await ask(page, READ)).toBe("Free\ncoffee");
});

test("the page goes on drawing while a model is read and answers", async ({ page, host }) => {
  await show(page, host.url, NOTE);
  await page.evaluate(() => {
    const drawn = Object.assign(window, { frames: 0 });
    const draw = (): void => {
      drawn.frames++;
      requestAnimationFrame(draw);
    };
    draw();
  });
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  // Opening the graphs alone takes longer than these would need.
  expect(await page.evaluate(() => (window as unknown as { frames: number }).frames)).toBeGreaterThan(10);
});

test("a browser without SIMD is told which one it needs", async ({ page, host }) => {
  await page.route("**/assets/worker-*.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `WebAssembly.validate = () => false;\n${await response.text()}` });
  });
  await show(page, host.url, NOTE);
  await ask(page, READ);
  await expect(page.locator("#chat .error")).toContainText("too old");
});
