import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { toVtt, vttTime } from "../src/captions";
import { events } from "../src/server/events";
import { Meaning } from "../src/meaning";
import { said } from "../src/texts/zh-said";
import { TOP } from "./places";

test("the same sight in other words is said once", () => {
  const meaning = new Meaning();
  expect(meaning.isNew("A man sits at a desk with a laptop.", 0)).toBe(true);
  expect(meaning.isNew("There is a man at a desk, with a laptop", 1000)).toBe(false);
  expect(meaning.isNew("A man sits at a desk with a computer.", 2000)).toBe(true); // a new word
  expect(meaning.isNew("A man sits at a desk with a laptop.", 3000)).toBe(false); // and back again
  expect(meaning.isNew("A man sits at a desk with a knife.", 4000)).toBe(true);
});

test("numbers and denials always count", () => {
  const meaning = new Meaning();
  expect(meaning.isNew("A hand holding up two fingers", 0)).toBe(true);
  expect(meaning.isNew("A hand holding up 2 fingers", 1000)).toBe(false);
  expect(meaning.isNew("A hand holding up three fingers", 2000)).toBe(true);
  expect(meaning.isNew("A hand holding up two fingers", 3000)).toBe(true);
  expect(meaning.isNew("A hand not holding up two fingers", 4000)).toBe(true);
  expect(meaning.isNew("2", 5000)).toBe(true);
});

test("Chinese is compared by words too", () => {
  const meaning = new Meaning();
  expect(meaning.isNew("一个人坐在桌子前", 0)).toBe(true);
  expect(meaning.isNew("一个人坐在桌子前。", 1000)).toBe(false);
  expect(meaning.isNew("一只猫在窗台上睡觉", 2000)).toBe(true);
});

test("subtitles hold no markup, and every cue lasts", () => {
  expect(vttTime(3723.5)).toBe("01:02:03.500");
  const caption = { text: "a --> b <i>\n\n& c", at: new Date(0), from: 1, to: 1, unsure: false };
  expect(toVtt([caption])).toBe("WEBVTT\n\n00:00:01.000 --> 00:00:01.500\na --&gt; b &lt;i&gt;\n&amp; c\n");
});

test("what the server says of photos and models has a Chinese word each", () => {
  const lines = readFileSync(join(TOP, "galago/data/sights.txt"), "utf-8").split("\n");
  const words = lines.filter((line) => line && !line.startsWith("#"));
  const knows = /knows="(short notes[^"]+)"/.exec(readFileSync(join(TOP, "galago/catalog.py"), "utf-8"))?.[1] ?? "?";
  const missing = [...words, knows].filter((word) => !(word in said));
  expect(missing).toEqual([]);
  expect(Object.values(said).filter((word) => !/[\u4e00-\u9fff]/.test(word) && word !== "T恤")).toEqual([]);
});

test("events come whole, however the bytes are cut", async () => {
  const bytes = new TextEncoder().encode('data: {"a":"é"}\r\n\r\n: a comment\n\ndata: 2\n\ndata: [DONE]\n\n');
  for (let cut = 1; cut < bytes.length; cut++) {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes.slice(0, cut));
        controller.enqueue(bytes.slice(cut));
        controller.close();
      },
    });
    const seen: string[] = [];
    for await (const data of events(new Response(stream))) seen.push(data);
    expect(seen).toEqual(['{"a":"é"}', "2"]);
  }
});

test("a stream that ends before its end is an error", async () => {
  const reading = async () => {
    for await (const data of events(new Response("data: 1\n\n"))) expect(data).toBe("1");
  };
  await expect(reading()).rejects.toThrow("cut");
});

test("who reads no further lets the server stop", async () => {
  let stopped = false;
  const stream = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
    cancel: () => void (stopped = true),
  });
  for await (const data of events(new Response(stream))) {
    expect(data).toBe("1");
    break;
  }
  await expect.poll(() => stopped).toBe(true);
});
