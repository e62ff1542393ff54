/** Which device computes, with stand-ins for the browser's graphics processor and for models on it. */

import { expect, test } from "@playwright/test";
import { Refused } from "../src/engine";
import type { Device } from "../src/local/ort";
import type { SiteModel } from "../src/local/site";
import { Desk, type Open } from "../src/local/vlm/desk";
import { choose, isHardware } from "../src/local/vlm/device";
import type { Reply, Setup } from "../src/local/vlm/vlm";

const model = (bytes: number, dtype = "int8"): SiteModel =>
  ({ id: "m", folder: "models/m/", dtype, files: [{ path: "onnx/decoder", bytes, sha256: "" }] }) as unknown as SiteModel;
const [SMALL, LARGE] = [model(8e6), model(3e8)];

const about = (info: object, fallback = false, halves = false) => ({
  features: new Set(halves ? ["shader-f16"] : []),
  isFallbackAdapter: fallback,
  info: { vendor: "", architecture: "", device: "", description: "", ...info },
});
const REAL = about({ vendor: "nvidia", architecture: "ampere" });
const PROGRAM = about({ vendor: "google", architecture: "swiftshader" });

function browser(adapter: object | null | "none" | "fails"): void {
  const requestAdapter = async () => {
    if (adapter === "fails") throw new Error("blocked");
    return adapter;
  };
  Object.defineProperty(globalThis, "navigator", { value: adapter === "none" ? {} : { gpu: { requestAdapter } }, configurable: true });
}

test("a program that plays a graphics processor is told from one", () => {
  const programs = [
    PROGRAM,
    about({ vendor: "mesa", description: "llvmpipe (LLVM 15.0.6, 256 bits)" }),
    about({ vendor: "mesa", architecture: "software" }),
    about({ vendor: "microsoft", architecture: "warp", description: "Microsoft Basic Render Driver" }),
    about({ vendor: "acme" }, true),
    about({ vendor: "acme", isFallbackAdapter: true }),
  ];
  expect(programs.map(isHardware)).toEqual(programs.map(() => false));
  const real = [REAL, about({ vendor: "apple", architecture: "metal-3" }), about({ vendor: "arm", architecture: "valhall" }), about({})];
  expect(real.map(isHardware)).toEqual(real.map(() => true));
});

test("a small model begins on the processor, and a trial is worth it beside a graphics processor alone", async () => {
  const wasm = { device: "wasm", open: false };
  for (const none of ["none", "fails", null, PROGRAM] as const) {
    browser(none);
    for (const known of [null, "wasm", "webgpu"] as const) expect(await choose(SMALL, null, known)).toEqual(wasm);
  }
  browser(REAL);
  expect(await choose(SMALL, null, null)).toEqual({ device: "wasm", open: true });
  expect(await choose(SMALL, null, "wasm")).toEqual(wasm);
  expect(await choose(SMALL, null, "webgpu")).toEqual({ device: "webgpu", open: false });
  expect(await choose(model(8e6, "fp16"), null, "webgpu")).toEqual(wasm); // it computes no float16
});

test("a large model needs a graphics processor, whatever is known", async () => {
  browser(REAL);
  expect(await choose(LARGE, null, null)).toEqual({ device: "webgpu", open: false });
  expect(await choose(LARGE, null, "wasm")).toEqual({ device: "webgpu", open: false });
  const why = "m is too large for the processor alone: ";
  expect(await choose(model(3e8, "fp16"), null, null)).toBe(`${why}m in fp16 needs a graphics processor that computes in float16 (shader-f16)`);
  for (const none of ["none", "fails", null, PROGRAM] as const) {
    browser(none);
    expect(await choose(LARGE, null, null)).toBe(`${why}this browser has no graphics processor to compute with (WebGPU)`);
  }
});

/** A model that is open: what it says and how long it takes is given, what is done with it is noted. */
class Fake implements Open {
  lost = false;
  closed = false;
  constructor(
    readonly device: Device,
    readonly open: boolean,
    private readonly seconds = 1,
    private readonly trouble: (fake: Fake) => Error | null = () => null,
  ) {}

  async ask(...[, , onText]: Parameters<Open["ask"]>): Promise<Reply> {
    onText(`${this.device} beg`);
    const error = this.trouble(this);
    if (error) throw error;
    onText(`${this.device} begins`);
    return { text: this.device } as Reply;
  }

  async timed(): Promise<number> {
    const error = this.trouble(this);
    if (error) throw error;
    return this.seconds;
  }

  ids = (): number[] => [];
  close = async (): Promise<void> => void (this.closed = true);
}

const setup = (known: Device | null, of = SMALL): Setup => ({ model: of, known, asked: null }) as unknown as Setup;
const ask = (desk: Desk, setup: Setup, onText: (text: string) => void = () => {}) => desk.ask(0, setup, [], [], onText, () => {});
const lose = (fake: Fake): Error => {
  fake.lost = true;
  return new Error("device lost");
};

/** A desk whose models are these, by device; those it read, in order. */
function at(wasm: () => Fake, webgpu: () => Fake | Error): { desk: Desk; opened: Fake[] } {
  const opened: Fake[] = [];
  const desk = new Desk(async ({ known }, _, device) => {
    const one = (device ?? known ?? "wasm") === "wasm" ? wasm() : webgpu();
    if (one instanceof Error) throw one;
    opened.push(one);
    return one;
  });
  return { desk, opened };
}

for (const [seconds, quicker] of [[2, "wasm"], [0.5, "webgpu"]] as const) {
  test(`one timed token: ${quicker} is quicker and answers from then on`, async () => {
    const { desk, opened } = at(() => new Fake("wasm", true, 1), () => new Fake("webgpu", false, seconds));
    expect((await ask(desk, setup(null))).device).toBe("wasm");
    expect(await desk.tried(setup(null), () => {})).toBe(quicker);
    expect((await ask(desk, setup(quicker))).device).toBe(quicker);
    expect(opened.map(({ device, closed }) => [device, closed])).toEqual([["wasm", quicker === "webgpu"], ["webgpu", quicker === "wasm"]]);
  });
}

test("questions are answered while a trial waits for its files", async () => {
  let come = (): void => {};
  const files = new Promise<void>((done) => (come = done));
  const desk = new Desk(async (_, __, device) => {
    if (device === "webgpu") await files;
    return new Fake(device ?? "wasm", !device);
  });
  await ask(desk, setup(null));
  const trial = desk.tried(setup(null), () => {});
  await new Promise((done) => setTimeout(done, 10)); // by now it waits
  expect((await ask(desk, setup(null))).device).toBe("wasm");
  come();
  expect(await trial).toBe("wasm");
});

test("a trial whose files don't come decides nothing; one whose driver fails does", async () => {
  for (const [error, decided] of [[new Refused("The network does not answer."), null], [new Error("no shader"), "wasm"]] as const) {
    const { desk } = at(() => new Fake("wasm", true), () => error);
    await ask(desk, setup(null));
    expect(await desk.tried(setup(null), () => {})).toBe(decided);
    const failing = at(() => new Fake("wasm", true), () => new Fake("webgpu", false, 0, () => error));
    await ask(failing.desk, setup(null));
    expect(await failing.desk.tried(setup(null), () => {})).toBe(decided);
  }
  const settled = at(() => new Fake("wasm", false), () => new Fake("webgpu", false));
  await ask(settled.desk, setup("wasm"));
  expect(await settled.desk.tried(setup("wasm"), () => {})).toBeNull();
});

test("a device that is lost in the middle of an answer: the processor repeats it, and that is told once", async () => {
  const { desk, opened } = at(() => new Fake("wasm", false), () => new Fake("webgpu", false, 1, lose));
  const heard: string[] = [];
  expect(await ask(desk, setup("webgpu"), (text) => heard.push(text))).toMatchObject({ device: "wasm", fell: true });
  expect(heard).toEqual(["webgpu beg", "wasm beg", "wasm begins"]);
  expect(await ask(desk, setup("wasm"))).toMatchObject({ device: "wasm", fell: false });
  await expect.poll(() => opened.map(({ closed }) => closed)).toEqual([true, false]);
});

test("one that was lost between answers isn't asked", async () => {
  const { desk, opened } = at(() => new Fake("wasm", false), () => new Fake("webgpu", false));
  expect(await ask(desk, setup("webgpu"))).toMatchObject({ device: "webgpu", fell: false });
  opened[0]!.lost = true;
  const heard: string[] = [];
  expect(await ask(desk, setup("webgpu"), (text) => heard.push(text))).toMatchObject({ device: "wasm", fell: true });
  expect(heard).toEqual(["wasm beg", "wasm begins"]);
});

test("one that was quicker once, and can't be opened now", async () => {
  const broken = at(() => new Fake("wasm", false), () => new Error("no adapter"));
  expect(await broken.desk.load(setup("webgpu"), () => {})).toEqual({ device: "wasm", fell: true });
  const offline = at(() => new Fake("wasm", false), () => new Refused("The network does not answer."));
  expect(await offline.desk.load(setup("webgpu"), () => {})).toEqual({ device: "wasm", fell: false }); // not its fault
});

test("what no device can answer is no reason to change it", async () => {
  const { desk, opened } = at(() => new Fake("wasm", false), () => new Fake("webgpu", false, 1, () => new Refused("no picture")));
  await expect(ask(desk, setup("webgpu"))).rejects.toThrow("no picture");
  expect(opened.map(({ device }) => device)).toEqual(["webgpu"]);
});

test("a large model that loses its device isn't put on the processor", async () => {
  const { desk, opened } = at(() => new Fake("wasm", false), () => new Fake("webgpu", false, 1, lose));
  for (let time = 0; time < 2; time++) {
    await expect(ask(desk, setup("webgpu", LARGE))).rejects.toThrow("m needs the graphics processor, which stopped: load the page again");
  }
  expect(opened.map(({ device }) => device)).toEqual(["webgpu"]);
  const full = at(() => new Fake("wasm", false), () => new Fake("webgpu", false, 1, () => new Error("out of memory")));
  await expect(ask(full.desk, setup("webgpu", LARGE))).rejects.toThrow("out of memory");
});
