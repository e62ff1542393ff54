import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { normalise, square } from "../src/local/pixels";
import type { ImageSpec } from "../src/local/site";
import { ENVIRONMENT, MADE, PYTHON } from "./places";

interface Case {
  picture: string;
  width: number;
  height: number;
  spec: ImageSpec;
  square: string;
}

test("squares are Python's to the last bit, whatever the size", () => {
  const folder = join(MADE, "squares");
  execFileSync(PYTHON, [join(import.meta.dirname, "squares.py"), folder], { env: ENVIRONMENT });
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));
  const cases = JSON.parse(readFileSync(join(folder, "squares.json"), "utf-8")) as Case[];
  expect(cases.length).toBeGreaterThan(50);
  for (const { picture, width, height, spec, square: name } of cases) {
    const what = `${width}x${height}, ${spec.fit}, ${spec.resample}`;
    const got = square({ data: new Uint8ClampedArray(read(picture)), width, height }, spec);
    expect(Buffer.compare(Buffer.from(got), Buffer.from(read(`${name}.rgb`))), what).toBe(0);
    const values = new Uint8Array(normalise(got, spec).buffer);
    expect(Buffer.compare(Buffer.from(values), Buffer.from(read(`${name}.f32`))), what).toBe(0);
  }
});
