/** Chinese queries in English are Python's, of thousands that were drawn at random too. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { Lexicon } from "../src/local/text/chinese";
import { asTyped, read, searchedFor } from "../src/local/text/queries";
import { ENVIRONMENT, PYTHON, TOP } from "./places";

interface Goldens {
  read: [typed: string, text: string, notes: string[]][];
  as_typed: [string, string[]][];
  instead: (string | null)[];
}

const lexicon = new Lexicon(readFileSync(join(TOP, "galago/data/zh-en.txt"), "utf-8"));
let goldens: Goldens;

test.beforeAll(() => {
  const found = execFileSync(PYTHON, [join(import.meta.dirname, "chinese_goldens.py")], { env: ENVIRONMENT, maxBuffer: 1 << 26 });
  goldens = JSON.parse(found.toString()) as Goldens;
});

test("what is searched for, and what is told of it", () => {
  expect(goldens.read.length).toBeGreaterThan(4000);
  const asked = goldens.read.map(([typed]) => read(typed, "model", lexicon));
  const wrong = goldens.read.flatMap(([typed, text, notes], at) => {
    const got = asked[at]!;
    return got.text === text && got.notes.join() === notes.join() ? [] : [{ typed, wanted: [text, notes], got: [got.text, got.notes] }];
  });
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(goldens.read.filter(([typed, text]) => typed !== text).length).toBeGreaterThan(3000);
  const pairs = asked.slice(0, -1).flatMap((one, at) => (at % 7 ? [] : [searchedFor([one], asked.slice(at + 1, at + 2))]));
  expect(pairs).toEqual(goldens.instead);
});

test("as they were typed, or without a list of words", () => {
  for (const [text, notes] of goldens.as_typed) expect(asTyped(text, "model"), text).toEqual({ typed: text, text, notes });
  expect(read("红色连衣裙", "model", null)).toEqual(asTyped("红色连衣裙", "model"));
  expect(asTyped("红色连衣裙", "model").notes).toHaveLength(1);
});
