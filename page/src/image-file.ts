/** A picture as the server takes it and as the page shows it. */
export interface Picture {
  name: string;
  data: string; // data URL
}

/** Not a picture that this browser can open. */
export class NotAPicture extends Error {}

const SENT_AS_IT_IS = new Set(["image/jpeg", "image/png", "image/webp"]);
const LARGE = 4_000_000; // bytes
const QUALITY = 0.92; // of JPEGs
const SIDE = 2048; // pixels; models look at 1024 at most

const asDataUrl = (blob: Blob): Promise<string> =>
  new Promise((done, fail) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(String(reader.result)));
    reader.addEventListener("error", () => fail(new NotAPicture(String(reader.error))));
    reader.readAsDataURL(blob);
  });

/** Draw a picture or a frame so that no side is longer than `side`; as a JPEG data URL. */
export function toJpeg(
  source: CanvasImageSource,
  width: number,
  height: number,
  side: number,
): string {
  return drawn(source, width, height, side).toDataURL("image/jpeg", QUALITY);
}

/** A picture's file as a JPEG of which no side is longer than `side`; what createImageBitmap throws. */
export async function jpegOf(file: Blob, side: number): Promise<Blob> {
  const bitmap = await createImageBitmap(file); // turned as its EXIF says
  try {
    const canvas = drawn(bitmap, bitmap.width, bitmap.height, side);
    const { promise, resolve } = Promise.withResolvers<Blob | null>();
    canvas.toBlob(resolve, "image/jpeg", QUALITY);
    const blob = await promise;
    if (blob === null) throw new NotAPicture("no JPEG");
    return blob;
  } finally {
    bitmap.close();
  }
}

function drawn(source: CanvasImageSource, width: number, height: number, side: number): HTMLCanvasElement {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new NotAPicture("no canvas");
  context.fillStyle = "white"; // what shines through has no colour in JPEG
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/**
 * Read a file or blob: small pictures of the common kinds are sent as they are, others as JPEG.
 * Throws NotAPicture for anything that the browser can't decode.
 */
export async function readPicture(file: Blob, name: string): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file); // turned as its EXIF says
  } catch {
    throw new NotAPicture(name);
  }
  try {
    const asIs = SENT_AS_IT_IS.has(file.type) && file.size <= LARGE;
    const data = asIs
      ? await asDataUrl(file)
      : toJpeg(bitmap, bitmap.width, bitmap.height, SIDE);
    return { name, data };
  } finally {
    bitmap.close();
  }
}

/** The first picture among things that were dropped or pasted. */
export function pictureIn(items: DataTransfer | null): File | null {
  const files = [...(items?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0] ?? null;
}
