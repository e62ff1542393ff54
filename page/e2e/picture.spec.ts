import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { cli, expect, plain, test } from "./galago";
import { EXAMPLES, NOTE } from "./places";

const answers = async (page: Page): Promise<string[]> => {
  await expect(page.locator("#chat [aria-busy]")).toHaveCount(0); // all are there
  return (await page.locator("#chat .answer").allTextContents()).map(plain);
};

test("describe, read and count, as the command line does", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(NOTE);
  await expect(page.getByRole("img", { name: "The picture you ask about: note.png" })).toBeVisible();
  for (const [name, preset] of [["Describe", "describe"], ["Read", "read"], ["Count fingers", "count"]] as const) {
    await page.getByRole("button", { name, exact: true }).click();
    expect((await answers(page)).at(-1)).toBe(cli([NOTE], preset)[0]);
  }
});

test("what the model was never taught is not offered, and that is said", async ({ page, galago }) => {
  for (const view of ["picture", "live"]) {
    await page.goto(`${galago.url}#${view}`);
    const offered = page.locator(view === "picture" ? "#asks button" : "#presets .chip");
    await expect(offered.filter({ hasText: "Describe" })).toBeVisible();
    await expect(offered.filter({ hasText: /Translate|Expression/ })).toHaveCount(0);
    await expect(page.locator(`#view-${view} .model-note`)).toContainText("It was not taught Expression and Translate.");
  }
  await page.goto(`${galago.url}#picture`);
  await expect(page.getByRole("combobox", { name: "Translate into" })).toBeHidden();
});

test("a model that may translate is asked to", async ({ page, galago }) => {
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as { presets: object[] };
    const presets = info.presets.map((preset) => ({ ...preset, possible: true }));
    await route.fulfill({ json: { ...info, presets } });
  });
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(NOTE);
  await expect(page.locator("#view-picture .model-note")).not.toContainText("not taught");
  const translation = page.waitForRequest("**/v1/chat/completions");
  await page.getByRole("combobox", { name: "Translate into" }).fill("Chinese");
  await page.getByRole("button", { name: "Translate" }).click();
  expect((await translation).postData()).toContain("into Chinese");
});

test("a follow-up question knows the turns before, and the picture is not sent anew", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(NOTE);
  await page.getByRole("button", { name: "Read", exact: true }).click();
  const read = (await answers(page))[0];
  const request = page.waitForRequest("**/v1/chat/completions");
  await page.getByRole("textbox", { name: "Your question" }).fill("How many words?");
  await page.keyboard.press("Enter");
  const { messages } = (await request).postDataJSON() as { messages: { role: string; content: unknown }[] };
  expect(messages.map((message) => message.role)).toEqual(["user", "assistant", "user"]);
  expect(plain(messages[1]?.content as string)).toBe(read);
  expect(messages[2]?.content).toBe("How many words?");
  expect(await answers(page)).toHaveLength(2);
});

/** Hand files over the way a mouse or the clipboard does. */
async function give(page: Page, how: "drop" | "paste", name: string, type: string, bytes: Buffer): Promise<void> {
  const target = how === "drop" ? "#drop" : "body";
  const transfer = await page.evaluateHandle(
    ([name, type, data]) => {
      const held = new DataTransfer();
      const raw = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
      held.items.add(new File([raw], name, { type }));
      return held;
    },
    [name, type, bytes.toString("base64")] as const,
  );
  await page.locator(target).evaluate(
    (element, [how, transfer]) => {
      const event = how === "drop"
        ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
      element.dispatchEvent(event);
    },
    [how, transfer] as const,
  );
}

for (const how of ["drop", "paste"] as const) {
  test(`a picture by ${how}`, async ({ page, galago }) => {
    await page.goto(`${galago.url}#picture`);
    await give(page, how, "emoji.png", "image/png", readFileSync(join(EXAMPLES, "emoji.png")));
    await expect(page.locator("#shown")).toBeVisible();
    await page.getByRole("button", { name: "Describe", exact: true }).click();
    expect((await answers(page)).at(-1)).toBe(cli([join(EXAMPLES, "emoji.png")], "describe")[0]);
  });
}

test("a broken file is told, and what was there stays", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(NOTE);
  await expect(page.locator("#shown")).toBeVisible();
  await give(page, "drop", "torn.jpg", "image/jpeg", Buffer.from("\xff\xd8\xff\xe0 torn", "latin1"));
  await expect(page.getByRole("alert").filter({ hasText: "torn.jpg is not a picture" })).toBeVisible();
  await page.getByRole("button", { name: "Read", exact: true }).click();
  expect((await answers(page)).at(-1)).toBe(cli([NOTE], "read")[0]);
});

test("without a picture the page asks for one", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.getByRole("button", { name: "Describe", exact: true }).click();
  await expect(page.getByRole("alert").filter({ hasText: "Choose a picture first." })).toBeVisible();
});

test("a picture from the camera", async ({ page, galago }) => {
  await page.goto(`${galago.url}#picture`);
  await page.getByRole("button", { name: "Take one" }).click();
  await page.getByRole("button", { name: "Shoot" }).click();
  await expect(page.getByRole("img", { name: /picture from the camera/ })).toBeVisible();
  await page.getByRole("button", { name: "Describe", exact: true }).click();
  expect((await answers(page)).at(-1)).not.toBe("");
});

test("nobody has to wait for a camera", async ({ page, galago }) => {
  await page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); // the browser still asks
  });
  await page.goto(`${galago.url}#picture`);
  await page.getByRole("button", { name: "Take one" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
});

test("a language to translate into is typed by any of its names, or told to be none", async ({ page, galago }) => {
  await page.route("**/api/page", async (route) => {
    const info = (await (await route.fetch()).json()) as { presets: object[] };
    await route.fulfill({ json: { ...info, presets: info.presets.map((one) => ({ ...one, possible: true })) } });
  });
  const asked: string[] = [];
  await page.route("**/v1/chat/completions", async (route) => {
    asked.push(route.request().postData() ?? "");
    await route.fulfill({ contentType: "text/event-stream", body: "data: [DONE]\n\n" });
  });
  await page.goto(`${galago.url}#picture`);
  await page.locator("#picture-file").setInputFiles(NOTE);
  const field = page.getByRole("combobox", { name: "Translate into" });
  await expect(field).toHaveValue("English");
  const names = [["中文", "Chinese"], ["de", "German"], ["FRANCAIS", "French"], ["zh_TW", "Traditional Chinese"]] as const;
  for (const [typed, name] of names) {
    await field.fill(typed);
    await page.getByRole("button", { name: "Translate" }).click();
    await expect.poll(() => asked.at(-1) ?? "").toContain(`Translate the text in this image into ${name}.`);
  }
  await field.fill("Germn");
  await page.getByRole("button", { name: "Translate" }).click();
  await expect(field).toHaveJSProperty("validationMessage", "No language is called so here; did you mean German?");
  expect(asked).toHaveLength(names.length);
});
