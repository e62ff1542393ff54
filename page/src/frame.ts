const SMALL = 32; // pixels, to compare frames by
const NOISE = 12; // grey levels (0 to 255) that one of the small pixels may differ by
const MOVED = 3; // so many that differ by more are a change: a raised finger far away

const small = document.createElement("canvas");
small.width = small.height = SMALL;

/** A small grey copy of the frame a video shows now; null while there is nothing to show. */
export function glance(video: HTMLVideoElement): Uint8Array | null {
  if (!video.videoWidth || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
  const context = small.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  context.imageSmoothingQuality = "medium"; // averages, so that noise goes away
  context.drawImage(video, 0, 0, SMALL, SMALL);
  const { data } = context.getImageData(0, 0, SMALL, SMALL);
  const grey = new Uint8Array(SMALL * SMALL);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = ((data[4 * i] ?? 0) * 2 + (data[4 * i + 1] ?? 0) * 5 + (data[4 * i + 2] ?? 0)) >> 3;
  }
  return grey;
}

/** Whether two frames show the same: asking again would only warm the room. */
export function isStill(a: Uint8Array, b: Uint8Array): boolean {
  let moved = 0;
  for (let i = 0; i < a.length; i++) {
    if (Math.abs((a[i] ?? 0) - (b[i] ?? 0)) > NOISE) moved++;
  }
  return moved < MOVED;
}
