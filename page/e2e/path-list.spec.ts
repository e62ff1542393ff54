import { execFileSync } from "node:child_process";
import { expect, test } from "@playwright/test";
import { pathBytes, shellWord, withZeros } from "../src/path-list";

const PATHS = [
  "/photos/plain.jpg",
  "/photos/two words.jpg",
  "/photos/it's.jpg",
  "/photos/$(touch evil) `id` \\ \" *.jpg",
  "/photos/-rf.jpg",
  "/photos/照片 🐒.jpg",
  "/photos/line\nbreak\ttab.jpg",
  "/photos/caf\udce9 it's 9.jpg", // the byte E9, which is no text
  "/photos/\udcf0\udc9f.jpg",
];

test("path list: a shell reads quoted paths as the bytes that they are", () => {
  const command = `printf '%s\\0' ${PATHS.map(shellWord).join(" ")}`;
  const read = execFileSync("bash", ["-c", command]);
  expect([...read]).toEqual([...withZeros(PATHS)]);
});

test("path list: half characters are bytes, whole ones UTF-8", () => {
  expect([...pathBytes("é\udce9🐒")]).toEqual([0xc3, 0xa9, 0xe9, 0xf0, 0x9f, 0x90, 0x92]);
  expect([...withZeros(["a", "b"])]).toEqual([0x61, 0, 0x62, 0]);
});

test("path list: one path a line, and quotes of Windows there", () => {
  for (const path of PATHS) expect(shellWord(path)).not.toContain("\n");
  expect(shellWord("C:\\Users\\Ann's\\a b.jpg")).toBe('"C:\\Users\\Ann\'s\\a b.jpg"');
});
