/** When a JPEG was taken, as its EXIF says by the camera's own clock: galago/media/exif.py. */

export const BEGINNING = 256 * 1024; // bytes of a file: EXIF nearly always stands in its first 64 KB

const [OWN, CHANGED, ORIGINAL, DIGITIZED] = [0x8769, 0x0132, 0x9003, 0x9004];
const EARLIEST = 1826; // the year of the first photograph
const AHEAD = 2 * 86_400_000; // ms: clocks of the other side of the world, and a day besides
const DATE = /^\s*(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?/;
const LENGTH = 40; // letters of a date

/** "2025-06-14 18:30:05"; "" where a picture says nothing. `bytes`: the file's beginning. */
export function taken(bytes: Uint8Array): string {
  try {
    const block = exifOf(bytes);
    if (block === null) return "";
    return datesIn(block).map(dateIn).find(Boolean) ?? "";
  } catch {
    return ""; // broken EXIF
  }
}

/** The TIFF without a picture inside a JPEG's APP1. */
function exifOf(bytes: Uint8Array): DataView | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return null;
    const [marker, length] = [bytes[at + 1], view.getUint16(at + 2)];
    if (marker === 0xda) return null;
    const isExif = marker === 0xe1 && String.fromCharCode(...bytes.subarray(at + 4, at + 10)) === "Exif\0\0";
    if (isExif) return new DataView(bytes.buffer, bytes.byteOffset + at + 10, Math.min(length - 8, bytes.length - at - 10));
    at += 2 + length;
  }
  return null;
}

/** Taken, digitised, changed. */
function datesIn(view: DataView): string[] {
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return [];
  const little = order === 0x4949;
  const main = entries(view, little, view.getUint32(4, little), [OWN, CHANGED]);
  const place = main.get(OWN);
  const own = place === undefined ? new Map<number, number>() : entries(view, little, view.getUint32(place, little), [ORIGINAL, DIGITIZED]);
  return [own.get(ORIGINAL), own.get(DIGITIZED), main.get(CHANGED)].map((at) => (at === undefined ? "" : textAt(view, at)));
}

/** Where the values of a directory's entries stand. */
function entries(view: DataView, little: boolean, start: number, wanted: number[]): Map<number, number> {
  const found = new Map<number, number>();
  const count = view.getUint16(start, little);
  for (let at = start + 2; at < start + 2 + 12 * count && at + 12 <= view.byteLength; at += 12) {
    const tag = view.getUint16(at, little);
    if (!wanted.includes(tag) || found.has(tag)) continue;
    const inside = tag === OWN || view.getUint32(at + 4, little) <= 4;
    found.set(tag, inside ? at + 8 : view.getUint32(at + 8, little));
  }
  return found;
}

function textAt(view: DataView, at: number): string {
  const length = Math.min(LENGTH, view.byteLength - at);
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, length));
}

/** A date as EXIF has it; "" for what can't be a photo's. */
export function dateIn(value: string): string {
  const found = DATE.exec(value.slice(0, LENGTH));
  if (!found) return "";
  const parts = found.slice(1, 7).map((part) => Number(part ?? 0));
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const when = new Date(year, month - 1, day, hour, minute, second);
  const same = [when.getFullYear(), when.getMonth() + 1, when.getDate()].every((part, at) => part === parts[at]);
  if (!same || hour > 23 || minute > 59 || second > 59 || year < EARLIEST) return "";
  const two = (n: number): string => String(n).padStart(2, "0");
  const text = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`;
  return text === "1970-01-01 00:00:00" || when.getTime() > Date.now() + AHEAD ? "" : text;
}
