/** Transparency -> a background behind it, on which what there is can be seen: galago/media/alpha.py. */

const SEEN = 48; // levels between the darkest and the brightest; with fewer, another background is tried
const FAINT = 16; // levels of alpha below which all is as good as invisible

/** The pixels without transparency: on white, or on black where white would hide them. RGBA. */
export function opaque(pixels: Uint8ClampedArray): Uint8ClampedArray {
  // Most pictures are without: four bytes are looked at together, of which alpha is the highest.
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  let all = -1;
  for (let i = 0; i < words.length; i++) all &= words[i]!;
  if (all >>> 24 === 255) return pixels;
  let most = 0;
  for (let i = 3; i < pixels.length; i += 4) most = Math.max(most, pixels[i]!);
  if (most < FAINT && spread(pixels) > most) return pixels;
  const white = on(pixels, 255);
  const seen = spread(white);
  if (most === 0 || seen >= SEEN) return white;
  const black = on(pixels, 0);
  return seen < spread(black) ? black : white;
}

/** On a grey, in Pillow's whole numbers (src/libImaging/AlphaComposite.c). */
function on(pixels: Uint8ClampedArray, grey: number): Uint8ClampedArray {
  const out = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < pixels.length; i += 4) {
    const mine = pixels[i + 3]! * 128;
    const theirs = (255 * 128 - mine) * grey + (0x80 << 7);
    for (let c = i; c < i + 3; c++) {
      const sum = pixels[c]! * mine + theirs;
      out[c] = ((sum >> 8) + sum) >> 15;
    }
    out[i + 3] = 255;
  }
  return out;
}

/** The widest range of levels of any colour. */
function spread(pixels: Uint8ClampedArray): number {
  let widest = 0;
  for (let c = 0; c < 3; c++) {
    let least = 255;
    let most = 0;
    for (let i = c; i < pixels.length; i += 4) {
      least = Math.min(least, pixels[i]!);
      most = Math.max(most, pixels[i]!);
    }
    widest = Math.max(widest, most - least);
  }
  return widest;
}
