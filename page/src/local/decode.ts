/** Files of pictures -> pixels, in a worker. The browser decodes, turns and converts colours to sRGB. */

import { Refused } from "../engine";
import type { Pixels } from "./pixels";

/** The pixels of a picture, in full size. Throws Refused for what is none. */
export async function decode(file: Blob): Promise<Pixels> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch {
    throw new Refused("this browser can't open the picture");
  }
  try {
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Refused("this browser can't open the picture: it has no canvas");
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/** What a data URL of base64 holds; the policy of the page lets nobody fetch it. */
export function fromDataUrl(url: string): Blob {
  const found = /^data:([^;,]*)[^,]*;base64,(.*)$/s.exec(url);
  if (!found) throw new Refused("this is no picture");
  const letters = atob(found[2] ?? "");
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new Blob([bytes], { type: found[1] ?? "" });
}
