/**
 * Pillow's antialiased resampling in its own 8-bit arithmetic (src/libImaging/Resample.c): weights of 22
 * bits, rows first, rounded to 8 bits, then columns. What lies beyond a picture is of one colour.
 */

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

const BITS = 22;
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

/** Rows `top` to `bottom` of RGBA pixels with their columns resized: RGB. */
function acrossRows(
  pixels: Uint8ClampedArray, width: number, top: number, bottom: number, across: Weights, count: number, colour: Colour,
): Uint8ClampedArray {
  const { begin, end, weights, taps, beyond } = across;
  const out = new Uint8ClampedArray((bottom - top) * count * 3);
  const [red, green, blue] = colour;
  let to = 0;
  for (let y = top; y < bottom; y++) {
    const row = y * width * 4;
    for (let n = 0; n < count; n++) {
      const outside = beyond[n]!;
      let r = HALF + outside * red;
      let g = HALF + outside * green;
      let b = HALF + outside * blue;
      let weight = n * taps;
      const stop = row + end[n]! * 4;
      for (let at = row + begin[n]! * 4; at < stop; at += 4) {
        const w = weights[weight++]!;
        r = (r + Math.imul(pixels[at]!, w)) | 0;
        g = (g + Math.imul(pixels[at + 1]!, w)) | 0;
        b = (b + Math.imul(pixels[at + 2]!, w)) | 0;
      }
      out[to++] = r >> BITS; // clamped as it is stored
      out[to++] = g >> BITS;
      out[to++] = b >> BITS;
    }
  }
  return out;
}

/** RGB rows, of which the first is row `top` of the picture, resized to `count` rows. */
function downColumns(
  rows: Uint8ClampedArray, top: number, width: number, down: Weights, count: number, colour: Colour,
): Uint8ClampedArray {
  const { begin, end, weights, taps, beyond } = down;
  const wide = width * 3;
  const out = new Uint8ClampedArray(count * wide);
  const sums = new Int32Array(wide);
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < wide; i++) sums[i] = HALF + beyond[n]! * colour[i % 3]!;
    let weight = n * taps;
    for (let y = begin[n]!; y < end[n]!; y++) {
      const w = weights[weight++]!;
      const row = (y - top) * wide;
      for (let i = 0; i < wide; i++) sums[i] = (sums[i]! + Math.imul(rows[row + i]!, w)) | 0;
    }
    const to = n * wide;
    for (let i = 0; i < wide; i++) out[to + i] = sums[i]! >> BITS;
  }
  return out;
}

/** RGBA pixels, `width` a row, resized along both lines: RGB, `across.count` a row. */
export function resample(
  pixels: Uint8ClampedArray, width: number, across: Line, down: Line, filter: Filter, colour: Colour,
): Uint8ClampedArray {
  const horizontal = weightsOf(across, filter);
  const vertical = weightsOf(down, filter);
  let top = down.size;
  let bottom = 0;
  for (let n = 0; n < down.count; n++) {
    if (vertical.begin[n]! >= vertical.end[n]!) continue;
    top = Math.min(top, vertical.begin[n]!);
    bottom = Math.max(bottom, vertical.end[n]!);
  }
  const rows = acrossRows(pixels, width, top, Math.max(top, bottom), horizontal, across.count, colour);
  return downColumns(rows, top, across.count, vertical, down.count, colour);
}
