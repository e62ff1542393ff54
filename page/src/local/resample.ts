/**
 * Pillow's antialiased resampling in its own 8-bit arithmetic (src/libImaging/Resample.c): weights of 22
 * bits, rows first, rounded to 8 bits, then columns. What lies beyond a picture is of one colour.
 */

import { BITS, weighIn } from "./weigh";

export type Filter = "bicubic" | "bilinear";
export type Colour = readonly [number, number, number];

/** A part of a line of pixels, resized to `count` others. */
export interface Line {
  length: number; // pixels of the whole line
  from: number; // where the part begins and ends
  to: number;
  first: number; // of the pixels that come out, the first that is asked for
  count: number;
  of: number; // how many come out in all
  offset: number; // where on the line the picture begins; before and behind it is the colour
  size: number; // pixels of the picture
}

/** What each pixel that comes out is made of: `taps` weights a pixel, the unused ones at the end. */
interface Weights {
  begin: Int32Array; // first pixel of the picture
  end: Int32Array; // behind the last
  weights: Int32Array;
  taps: number;
  beyond: Int32Array; // what the colour weighs
}

const HALF = 1 << (BITS - 1);
const SUPPORT = { bicubic: 2, bilinear: 1 };

function weigh(distance: number, filter: Filter): number {
  const x = Math.abs(distance);
  if (filter === "bilinear") return x < 1 ? 1 - x : 0;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function weightsOf(line: Line, filter: Filter): Weights {
  const scale = (line.to - line.from) / line.of;
  const stretch = Math.max(scale, 1);
  const support = SUPPORT[filter] * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const found = {
    begin: new Int32Array(line.count),
    end: new Int32Array(line.count),
    weights: new Int32Array(line.count * taps),
    taps,
    beyond: new Int32Array(line.count),
  };
  const values = new Float64Array(taps);
  for (let n = 0; n < line.count; n++) {
    const centre = line.from + (n + line.first + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(line.length, Math.trunc(centre + support + 0.5));
    let total = 0;
    for (let at = begin; at < end; at++) {
      total += values[at - begin] = weigh((at - centre + 0.5) * (1 / stretch), filter);
    }
    const last = line.offset + line.size;
    found.begin[n] = Math.min(Math.max(begin, line.offset), last) - line.offset;
    found.end[n] = Math.max(Math.min(end, last), line.offset) - line.offset;
    let kept = n * taps;
    for (let at = begin; at < end; at++) {
      const value = total ? (values[at - begin] ?? 0) / total : (values[at - begin] ?? 0);
      const whole = Math.trunc(value * (1 << BITS) + (value < 0 ? -0.5 : 0.5));
      if (at >= line.offset && at < last) found.weights[kept++] = whole;
      else found.beyond[n] = (found.beyond[n] ?? 0) + whole;
    }
  }
  return found;
}

const PAGE = 65_536; // bytes by which WebAssembly's memory grows
const BAND = 262_144; // bytes of the picture that lie in it at a time

/** The memory in which sums are made; it grows, and is kept for the next picture. */
class Room {
  readonly memory = new WebAssembly.Memory({ initial: 1 });
  readonly weigh = weighIn(this.memory);

  /** Addresses of parts of so many bytes; what was there before is overwritten. */
  parts(...sizes: number[]): number[] {
    let used = 0;
    const places = sizes.map((size) => (used += Math.ceil(size / 16) * 16) - Math.ceil(size / 16) * 16);
    const missing = used - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return places;
  }
}

let room: Room | null = null; // made when it is needed

/** RGBA pixels, `width` a row, resized along both lines: RGB, `across.count` a row. */
export function resample(
  pixels: Uint8ClampedArray, width: number, across: Line, down: Line, filter: Filter, colour: Colour,
): Uint8ClampedArray {
  const horizontal = weightsOf(across, filter);
  const vertical = weightsOf(down, filter);
  const [top, bottom] = extent(vertical);
  const row = width * 4;
  const wide = across.count * 4;
  const band = Math.max(1, Math.floor(BAND / row)); // rows
  room ??= new Room();
  const { memory, weigh } = room;
  const [start, ofColumns, ofRows, picture, rows, out] = room.parts(
    16, horizontal.weights.byteLength, vertical.weights.byteLength, band * row, (bottom - top) * wide, down.count * wide,
  ) as [number, number, number, number, number, number];
  const bytes = new Uint8Array(memory.buffer);
  const starts = new Int32Array(memory.buffer, start, 3);
  new Int32Array(memory.buffer, ofColumns).set(horizontal.weights);
  new Int32Array(memory.buffer, ofRows).set(vertical.weights);

  /** `count` pixels, each of the one before moved by `next`, of those that make up pixel `n` of a line. */
  const sumUp = (
    { begin, end, taps, beyond }: Weights, weights: number, n: number,
    origin: number, next: number, step: number, to: number, stride: number, count: number,
  ): void => {
    for (let c = 0; c < 3; c++) starts[c] = HALF + beyond[n]! * colour[c]!;
    const first = weights + n * taps * 4;
    const last = first + Math.max(0, end[n]! - begin[n]!) * 4;
    weigh(origin + begin[n]! * step, next, step, first, last, start, to, stride, count);
  };
  for (let y = top; y < bottom; y += band) {
    const count = Math.min(band, bottom - y);
    bytes.set(pixels.subarray(y * row, (y + count) * row), picture);
    const to = rows + (y - top) * wide;
    for (let n = 0; n < across.count; n++) sumUp(horizontal, ofColumns, n, picture, row, 4, to + n * 4, wide, count);
  }
  for (let n = 0; n < down.count; n++) sumUp(vertical, ofRows, n, rows - top * wide, 4, wide, out + n * wide, 4, across.count);
  return withoutAlpha(bytes.subarray(out, out + down.count * wide));
}

/** The first pixel that any of these is made of, and the one behind the last. */
function extent({ begin, end }: Weights): [number, number] {
  const used = [...begin.keys()].filter((n) => begin[n]! < end[n]!);
  if (used.length === 0) return [0, 0];
  return [Math.min(...used.map((n) => begin[n]!)), Math.max(...used.map((n) => end[n]!))];
}

function withoutAlpha(pixels: Uint8Array): Uint8ClampedArray {
  const out = new Uint8ClampedArray((pixels.length / 4) * 3);
  for (let at = 0, to = 0; at < pixels.length; at += 4) {
    out[to++] = pixels[at]!;
    out[to++] = pixels[at + 1]!;
    out[to++] = pixels[at + 2]!;
  }
  return out;
}
