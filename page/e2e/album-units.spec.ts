import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { phrasesOf, raise, wordsCut } from "../src/local/album/match";
import { compared, type Part } from "../src/local/album/ranking";
import { best, Rows } from "../src/local/album/rows";
import { fitting } from "../src/local/album/sights";
import { stretch, times, written } from "../src/local/album/when";
import { Taught } from "../src/local/clip/doubt";
import { dateIn, taken } from "../src/local/clip/exif";
import { ClipTokenizer } from "../src/local/clip/ids";
import { languageNote, needsEnglish } from "../src/local/clip/language";
import { shares } from "../src/local/clip/shares";
import { ENVIRONMENT, MADE, PYTHON, TOP } from "./places";

interface Goldens {
  words: { context: number; texts: { text: string; ids: number[]; cut: boolean; foreign: boolean; note: string | null }[] };
  ranking: {
    dim: number; photos: string; shown: string; absent: string; reach: number[]; sights: number[][];
    asked: { parts: (Omit<Part, "vector"> & { vector: string })[]; third: boolean; found: [number, number, boolean, boolean][] }[];
  };
  doubt: { file: string; features: string[]; known: number[]; doubted: boolean[]; words: string[]; strange: boolean[] };
  shares: { rows: string; seen: string; shares: number[] };
  dates: { typed: Record<string, [string, string] | null>; exif: Record<string, string>; files: [string, string][] };
}

const folder = join(MADE, "album-goldens");
let goldens: Goldens;

test.beforeAll(() => {
  const found = execFileSync(PYTHON, [join(import.meta.dirname, "album_goldens.py"), folder], { env: ENVIRONMENT, maxBuffer: 1 << 26 });
  goldens = JSON.parse(found.toString()) as Goldens;
});

const floats = (packed: string): Float32Array => new Float32Array(new Uint8Array(Buffer.from(packed, "base64")).buffer);

/** The largest difference of two lists: an `expect` for each number takes minutes. */
const furthest = (one: number[], other: number[]): number => Math.max(...one.map((value, at) => Math.abs(value - other[at]!)));

test("texts become Python's ids, letter by letter", async () => {
  const json = JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf-8")) as ConstructorParameters<typeof ClipTokenizer>[0];
  const { context, texts } = goldens.words;
  const tokenizer = new ClipTokenizer(json, context);
  expect(texts.length).toBeGreaterThan(450);
  const wrong: unknown[] = [];
  for (const { text, ids, cut } of texts) {
    const got = Array.from(await tokenizer.row(text), Number);
    if (got.join() !== ids.join() || (await tokenizer.truncated(text)) !== cut) wrong.push([text, got.slice(0, 20), ids.slice(0, 20)]);
  }
  expect(wrong).toEqual([]);
  expect(texts.some(({ cut }) => cut)).toBe(true);
});

test("what is said of other scripts is what Python says", () => {
  const got = goldens.words.texts.map(({ text }) => [text, needsEnglish(text), languageNote([text], "model")]);
  expect(got).toEqual(goldens.words.texts.map(({ text, foreign, note }) => [text, foreign, note]));
});

test("rankings, matches and close ones are Python's", async () => {
  const { dim, asked, ...given } = goldens.ranking;
  const [photos, shown, absent] = [given.photos, given.shown, given.absent].map((one) => new Rows(dim, floats(one)));
  const background = { shown: shown!, absent: absent! };
  const reach = new Float32Array(absent!.count).fill(-Infinity);
  for (let at = 0; at < photos!.count; at++) raise(reach, photos!.row(at), background);
  expect(furthest([...reach], given.reach)).toBeLessThan(1e-4);
  let matches = 0;
  for (const { parts, third, found } of asked) {
    const whole = parts.map((part) => ({ ...part, vector: floats(part.vector) }));
    const ranked = await compared({ rows: photos!, background, reach }, whole, 12, third ? (at) => at % 3 === 0 : null);
    expect(ranked.map(({ at, match, close }) => [at, match, close])).toEqual(found.map(([at, , match, close]) => [at, match, close]));
    expect(furthest(ranked.map(({ score }) => score), found.map(([, score]) => score))).toBeLessThan(1e-5);
    matches += ranked.filter(({ match }) => match).length;
  }
  expect(matches).toBeGreaterThan(20);
  const near = Array.from({ length: 50 }, (_, at) => fitting(photos!.row(at).map((value) => 3 * value), absent!));
  expect(near).toEqual(given.sights);
});

test("an album in which nothing is indexed has the lowest cut, and the phrases are the server's", () => {
  expect(wordsCut(new Float32Array(3).fill(-Infinity))).toBe(1.5);
  expect(wordsCut(Float32Array.of(1, 2, 3, 4, 5))).toBeCloseTo(4.6);
  const { shown, absent } = phrasesOf(readFileSync(join(TOP, "galago/data/background.txt"), "utf-8"));
  expect([shown.length, absent.length]).toEqual([330, 70]);
});

test("the best of many are those of all, sorted", () => {
  const scores = Float32Array.from({ length: 5000 }, (_, at) => Math.sin(at * at));
  const all = [...scores.keys()].sort((one, other) => scores[other]! - scores[one]! || one - other);
  expect(best([...scores.keys()], scores, 100)).toEqual(all.slice(0, 100));
});

test("doubt and strange words are Python's, and so are shares", () => {
  const { doubt } = goldens;
  const known = new Taught(new Uint8Array(readFileSync(doubt.file)));
  doubt.features.forEach((one, at) => expect(known.known(floats(one))).toBeCloseTo(doubt.known[at]!, 4));
  expect(doubt.features.map((one) => known.doubts(known.known(floats(one))))).toEqual(doubt.doubted);
  expect(doubt.words.map((one) => known.strange(floats(one)))).toEqual(doubt.strange);
  expect(new Set(doubt.strange).size).toBe(2); // or nothing would be told apart
  const { rows, seen, shares: expected } = goldens.shares;
  shares(floats(rows), floats(seen), 13.5).forEach((share, at) => expect(share).toBeCloseTo(expected[at]!, 6));
});

test("dates that are typed, and that cameras wrote, are Python's", () => {
  for (const [text, expected] of Object.entries(goldens.dates.typed)) {
    expect([text, stretch(text)?.map(written) ?? null]).toEqual([text, expected]);
  }
  for (const [text, expected] of Object.entries(goldens.dates.exif)) expect([text, dateIn(text)]).toEqual([text, expected]);
  for (const [path, expected] of goldens.dates.files) expect(taken(new Uint8Array(readFileSync(path)))).toBe(expected);
  expect(goldens.dates.files.map(([, date]) => date)).not.toContain("");
  expect(times("2999", undefined)).toContain("yet to come");
  expect(times("2024-05", "2024-04")).toBe("until 2024-04 is before since 2024-05");
  expect(times("now", undefined)).toContain("is no date");
});
