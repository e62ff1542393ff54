/**
 * The innermost loop of resampling, as a WebAssembly module: it sums up a pixel's four bytes at once,
 * which JavaScript can't do. In 32-bit whole numbers, as Pillow:
 *
 *     for (; count; count--, from += next, to += stride) {
 *       sums = start                                    // four numbers at that address
 *       for (at = from, weight = weights; weight != last; at += step, weight += 4)
 *         sums += (four bytes at `at`) * (the number at `weight`)
 *       (four bytes at `to`) = sums >> 22, clamped to 0...255
 *     }
 */

export const BITS = 22; // of weights

/** Addresses in the memory, and bytes from one pixel to another; `count`: of pixels that come out, not 0. */
export type Weigh = (
  from: number, next: number, step: number, weights: number, last: number, start: number, to: number, stride: number, count: number,
) => void;

const PARAMETERS = ["from", "next", "step", "weights", "last", "start", "to", "stride", "count"];
const LOCALS = [...PARAMETERS, "at", "weight", "sums"];
const I32 = 0x7f;
const V128 = 0x7b;

// The instructions, by the names and numbers of WebAssembly's specification.
const local = {
  get: (name: string): number[] => [0x20, LOCALS.indexOf(name)],
  set: (name: string): number[] => [0x21, LOCALS.indexOf(name)],
  tee: (name: string): number[] => [0x22, LOCALS.indexOf(name)],
};
const i32 = { const: (value: number): number[] => [0x41, value], eq: [0x46], ne: [0x47], add: [0x6a], sub: [0x6b] };
const simd = (opcode: number, ...rest: number[]): number[] => [0xfd, ...(opcode < 128 ? [opcode] : [opcode, 1]), ...rest];
const WORD = [2, 0]; // an access at a multiple of four bytes
const [BLOCK, LOOP, END] = [[0x02, 0x40], [0x03, 0x40], [0x0b]];
const branchIf = (outer: number): number[] => [0x0d, outer];
const plus = (name: string, ...by: number[]): number[] => [...local.get(name), ...by, ...i32.add, ...local.tee(name)];

const BODY = [
  ...LOOP,
  ...local.get("start"), ...simd(0x00, ...WORD), ...local.set("sums"), // v128.load
  ...local.get("from"), ...local.set("at"),
  ...BLOCK,
  ...local.get("weights"), ...local.tee("weight"), ...local.get("last"), ...i32.eq, ...branchIf(0),
  ...LOOP,
  ...local.get("at"), ...simd(0x5c, ...WORD), // v128.load32_zero
  ...simd(0x89), ...simd(0xa9), // i16x8.extend_low_i8x16_u, i32x4.extend_low_i16x8_u
  ...local.get("weight"), ...simd(0x09, ...WORD), ...simd(0xb5), // v128.load32_splat, i32x4.mul
  ...local.get("sums"), ...simd(0xae), ...local.set("sums"), // i32x4.add
  ...plus("at", ...local.get("step")), 0x1a, // drop
  ...plus("weight", ...i32.const(4)), ...local.get("last"), ...i32.ne, ...branchIf(0),
  ...END,
  ...END,
  ...local.get("to"),
  ...local.get("sums"), ...i32.const(BITS), ...simd(0xac), ...local.tee("sums"), // i32x4.shr_s
  ...local.get("sums"), ...simd(0x85), ...local.tee("sums"), // i16x8.narrow_i32x4_s
  ...local.get("sums"), ...simd(0x66), // i8x16.narrow_i16x8_u
  ...simd(0x5a, ...WORD, 0), // v128.store32_lane
  ...plus("from", ...local.get("next")), 0x1a,
  ...plus("to", ...local.get("stride")), 0x1a,
  ...local.get("count"), ...i32.const(1), ...i32.sub, ...local.tee("count"), ...branchIf(0),
  ...END,
  ...END,
];

const counted = (bytes: readonly number[]): number[] => [(bytes.length & 127) | 128, bytes.length >> 7, ...bytes];
const section = (id: number, ...content: number[]): number[] => [id, ...counted([1, ...content])]; // one entry each
const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];

const MODULE = [
  ...new TextEncoder().encode("\0asm"), 1, 0, 0, 0,
  ...section(1, 0x60, PARAMETERS.length, ...PARAMETERS.map(() => I32), 0), // the function's type
  ...section(2, ...name("js"), ...name("memory"), 2, 0, 1),
  ...section(3, 0),
  ...section(7, ...name("weigh"), 0, 0),
  ...section(10, ...counted([2, 2, I32, 1, V128, ...BODY])),
];

/** The loop over a memory. */
export function weighIn(memory: WebAssembly.Memory): Weigh {
  const module = new WebAssembly.Module(Uint8Array.from(MODULE));
  return new WebAssembly.Instance(module, { js: { memory } }).exports["weigh"] as Weigh;
}
