import { ask, show } from "./asking";
import { NOTE } from "./places";
import { expect, test } from "./site";

const READ = "What is written in this image? Output only the text in the image.";

test("a program that plays a graphics processor is not used unless it is asked for by name", async ({ page, host }) => {
  await show(page, host.url, NOTE);
  expect(await page.evaluate(async () => {
    const { gpu } = navigator as unknown as { gpu?: { requestAdapter(): Promise<object | null> } };
    return (await gpu?.requestAdapter()) != null;
  })).toBe(true); // there is one
  expect(await ask(page, READ)).toBe("Free\ncoffee");
  await page.waitForTimeout(3000); // a trial would begin behind the answer
  expect(host.sent(/asyncify/)).toBe(0);
});

test("WebGPU gives the same words", async ({ page, host }) => {
  await show(page, `${host.url}?device=webgpu`, NOTE);
  expect(await ask(page, READ, 600_000)).toBe("Free\ncoffee");
  expect(host.sent(/asyncify/)).toBeGreaterThan(1e7);
});

test("halves of float16 by WebGPU", () => {
  test.skip(true, "SwiftShader has no shader-f16: float16 can't be computed here");
});
