/** A picture -> pixel values, as the model's ImageSpec says: galago/media/preprocess.py, to the last bit. */

import { opaque } from "./alpha";
import { type Colour, type Line, resample } from "./resample";
import type { ImageSpec } from "./site";

/** RGBA pixels, 8 bits each, as an ImageData has them. */
export interface Pixels {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

/**
 * The picture on a square of `spec.side` pixels, padded or cropped as the spec says: RGB, row by row.
 */
export function square(image: Pixels, spec: ImageSpec): Uint8ClampedArray {
  const data = opaque(image.data);
  const [across, down] = spec.fit === "crop" ? cropped(image, spec) : padded(image, spec.side);
  // Cut off, not rounded: llava's expand2square does so.
  const fill = spec.mean.map((value) => Math.min(Math.max(Math.trunc(value * 255), 0), 255)) as unknown as Colour;
  // Of a part of a tall picture Pillow resizes the columns first, which rounds in another way.
  if (image.height <= image.width || down.to - down.from === image.height || spec.fit === "pad") {
    return resample(data, image.width, across, down, spec.resample, fill);
  }
  const turned = transposed(data, image.width, image.height, 4);
  return transposed(resample(turned, image.height, down, across, spec.resample, fill), spec.side, spec.side, 3);
}

/** Rows as columns, of pixels of `depth` bytes. */
function transposed(pixels: Uint8ClampedArray, width: number, height: number, depth: number): Uint8ClampedArray {
  const out = new Uint8ClampedArray(pixels.length);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = (x * height + y) * depth;
      for (let c = 0; c < depth; c++) out[to + c] = pixels[at++]!;
    }
  }
  return out;
}

/** Pixel values of an RGB square: (3, side, side). */
export function normalise(pixels: Uint8ClampedArray, spec: ImageSpec): Float32Array {
  const size = pixels.length / 3;
  const out = new Float32Array(3 * size);
  const plain = spec.mean.every((value) => value === 0) && spec.std.every((value) => value === 1);
  const levels = new Float32Array(3 * 256);
  for (let c = 0; c < 3; c++) {
    const [mean, std] = [Math.fround(spec.mean[c]!), Math.fround(spec.std[c]!)];
    for (let level = 0; level < 256; level++) {
      // Rounded after every step, as float32 does.
      const value = Math.fround(level * Math.fround(1 / 255));
      levels[256 * c + level] = plain ? value : Math.fround(value - mean) / std;
    }
  }
  for (let i = 0, at = 0; i < size; i++) {
    out[i] = levels[pixels[at++]!]!;
    out[size + i] = levels[256 + pixels[at++]!]!;
    out[2 * size + i] = levels[512 + pixels[at++]!]!;
  }
  return out;
}

/** The whole picture in the middle of a square. */
function padded({ width, height }: Pixels, side: number): [Line, Line] {
  const length = Math.max(width, height);
  const line = (size: number): Line => ({
    length, from: 0, to: length, first: 0, count: side, of: side, offset: Math.floor((length - size) / 2), size,
  });
  return [line(width), line(height)];
}

const LONG = 32; // beyond this aspect ratio only what survives is resized, as galago does

/** Shortest edge to `side`, then the centre. */
function cropped({ width, height }: Pixels, { side, rounded }: ImageSpec): [Line, Line] {
  const [shortest, longest] = [Math.min(width, height), Math.max(width, height)];
  const longSide = Math.trunc((side * longest) / shortest);
  const line = (size: number, of: number): Line => {
    const first = rounded ? halfToEven(of - side) : Math.floor((of - side) / 2);
    const whole = { length: size, offset: 0, size, count: side };
    if (longSide <= LONG * side) return { ...whole, from: 0, to: size, first, of };
    const step = size / of; // Pillow keeps such places in float32
    return { ...whole, from: Math.fround(first * step), to: Math.fround((first + side) * step), first: 0, of: side };
  };
  return width <= height
    ? [line(width, side), line(height, longSide)]
    : [line(width, longSide), line(height, side)];
}

/** Half of a whole number; between two of them the even one. */
function halfToEven(n: number): number {
  const down = Math.floor(n / 2);
  return n % 2 && down % 2 ? down + 1 : down;
}
