import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { Loop } from "../src/local/vlm/loops";
import { chatPieces, type Turn } from "../src/local/vlm/prompt";
import { GREEDY, makeSampler } from "../src/local/vlm/sampling";
import { TextStream, Tokenizer, type TokenizerJson } from "../src/local/vlm/tokens";
import { TOP } from "./places";
import { replies } from "./replies";

const folder = join(TOP, "galago/models/fastvlm-nano");
const read = <T,>(name: string): T => JSON.parse(readFileSync(join(folder, name), "utf-8")) as T;
const tokenizer = new Tokenizer(read<TokenizerJson>("tokenizer.json"), {});

test("prompts are Python's, id by id", () => {
  const { prompts } = replies();
  expect(prompts.length).toBeGreaterThan(20);
  for (const { text, turns, ids } of prompts) {
    const talk: Turn[] = [
      { role: "user", text, pictures: 1 },
      { role: "assistant", text, pictures: 0 },
      { role: "user", text, pictures: 0 },
    ];
    const got = chatPieces(tokenizer, talk.slice(0, turns)).flatMap((piece) => (Array.isArray(piece) ? piece : [-1]));
    expect(got, text).toEqual(ids);
  }
});

test("text comes whole, however the tokens cut it", () => {
  const text = "é 这张图片 👩‍👩‍👧 ends";
  const ids = tokenizer.encode(text);
  expect(ids.length).toBeGreaterThan([...text].length); // most characters are several tokens
  const stream = new TextStream(tokenizer);
  const pieces = ids.map((id) => stream.push(id));
  expect(pieces.join("") + stream.finish()).toBe(text);
  expect(pieces.filter((piece) => piece.includes("\ufffd"))).toEqual([]);
  const cut = new TextStream(tokenizer);
  const half = tokenizer.encode("这").slice(0, -1);
  expect(half.map((id) => cut.push(id)).join("")).toBe("");
  expect(cut.finish()).toBe("\ufffd");
});

test("a reply ends before the first stop string", () => {
  const said = (stop: string[]): string => {
    const stream = new TextStream(tokenizer, stop);
    return tokenizer.encode("one two three").map((id) => stream.push(id)).join("") + stream.finish();
  };
  expect(said([" two", "o three"])).toBe("one");
  expect(said(["two x", "three"])).toBe("one two ");
  expect(said(["threes"])).toBe("one two three");
});

test("going round in circles is suspected, then ended", () => {
  const heard = (ids: number[]): [number, number] => {
    const loop = new Loop();
    let [suspected, endless] = [-1, -1];
    ids.forEach((id, at) => {
      loop.push(id);
      if (loop.suspected && suspected < 0) suspected = at;
      if (loop.endless && endless < 0) endless = at;
    });
    return [suspected, endless];
  };
  // Said by galago/vlm/loops.py of the same ids.
  expect(heard(Array<number>(200).fill(7))).toEqual([11, 127]);
  expect(heard(Array.from({ length: 400 }, (_, at) => at % 5))).toEqual([14, 127]);
  expect(heard(Array.from({ length: 600 }, (_, at) => at % 64))).toEqual([191, 511]);
  expect(heard(Array.from({ length: 600 }, (_, at) => at % 65))).toEqual([-1, -1]);
});

test("what may be drawn, and how often", () => {
  const logits = Float32Array.from([1, 3, 2, -1, 2.5]);
  const drawn = (options: Partial<typeof GREEDY>): Record<number, number> => {
    const sampler = makeSampler({ ...GREEDY, temperature: 1, seed: 1, ...options });
    const counts: Record<number, number> = {};
    for (let time = 0; time < 4000; time++) {
      const id = sampler(logits);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    return counts;
  };
  expect(makeSampler(GREEDY)(logits)).toBe(1);
  expect(Object.keys(drawn({}))).toEqual(["0", "1", "2", "3", "4"]);
  expect(Object.keys(drawn({ topK: 2 }))).toEqual(["1", "4"]);
  expect(Object.keys(drawn({ topP: 0.7 }))).toEqual(["1", "4"]); // 0.47, 0.29
  expect(Object.keys(drawn({ minP: 0.3 }))).toEqual(["1", "2", "4"]);
  const all = drawn({});
  expect((all[1] ?? 0) / 4000).toBeCloseTo(0.468, 1);
  expect(drawn({})).toEqual(all); // the same seed
  expect(drawn({ seed: 2 })).not.toEqual(all);
  const penalised = makeSampler({ ...GREEDY, repetitionPenalty: 2 });
  expect([penalised(logits), penalised(logits), penalised(logits), penalised(logits)]).toEqual([1, 4, 2, 1]);
  expect(() => makeSampler(GREEDY)(Float32Array.of(1, NaN))).toThrow("not a number");
});
