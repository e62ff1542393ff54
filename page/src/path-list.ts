/**
 * Lists of paths that other programs read without a mistake. In a path as the server tells it, half
 * characters (U+DC80 to U+DCFF) stand for bytes that are no text, as Python's "surrogateescape" has it.
 */

const ODD = /[\u0000-\u001f\u007f\ud800-\udfff]/; // without the flag "u": halves of characters count
const HALF = /[\udc80-\udcff]/;

/** A path as bytes: text in UTF-8, half characters as the byte that each stands for. */
export function pathBytes(path: string): Uint8Array {
  const found: number[] = [];
  for (const character of path) {
    const code = character.charCodeAt(0);
    if (character.length === 1 && HALF.test(character)) found.push(code & 0xff);
    else found.push(...new TextEncoder().encode(character));
  }
  return Uint8Array.from(found);
}

/** Each path with a zero byte behind it, as `xargs -0` reads them. */
export function withZeros(paths: string[]): Uint8Array<ArrayBuffer> {
  const parts = paths.map(pathBytes);
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length + 1;
  }
  return all;
}

/** A path as one word of a shell (bash, zsh; on Windows in the quotes that both of its shells know). */
export function shellWord(path: string): string {
  if (/^([A-Za-z]:[\\/]|\\\\)/.test(path)) return `"${path}"`; // no path there holds this quote
  // Whole characters beyond the first plane are two halves, too: only lone ones are odd.
  const odd = [...path].some((one) => one.length === 1 && ODD.test(one));
  if (!odd) return `'${path.replaceAll("'", "'\\''")}'`;
  const bytes = [...pathBytes(path)];
  const plain = (byte: number): boolean => byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c;
  const word = bytes.map((byte) =>
    plain(byte) ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`,
  );
  return `$'${word.join("")}'`;
}
