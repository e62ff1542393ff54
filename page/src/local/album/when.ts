/** Dates of photos, and stretches of time that people ask for: galago/album/{days,filters}.py. */

const EARLIEST = 1826; // the year of the first photograph
const AHEAD = 2 * 86_400_000; // ms: clocks of cameras may be of the other side of the world

const two = (n: number): string => String(n).padStart(2, "0");

/** A moment as albums have it, by the clock here: "2025-06-14 18:30:05". */
export const written = (when: Date): string =>
  `${String(when.getFullYear()).padStart(4, "0")}-${two(when.getMonth() + 1)}-${two(when.getDate())} ` +
  `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;

/** When a stretch ("2025", "2025-06", "2025-06-14") begins, and when it is over; null for no such time. */
export function stretch(text: string): [Date, Date] | null {
  const found = /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$/.exec(text.trim());
  if (!found) return null;
  const [year, month, day] = [found[1], found[2], found[3]].map((part) => (part === undefined ? null : Number(part)));
  if (year == null || year < EARLIEST) return null;
  const begin = new Date(year, (month ?? 1) - 1, day ?? 1);
  if (begin.getMonth() !== (month ?? 1) - 1 || begin.getDate() !== (day ?? 1)) return null; // a 31st of June
  if (day != null) return [begin, new Date(year, begin.getMonth(), day + 1)];
  if (month != null) return [begin, new Date(year, month, 1)];
  return [begin, new Date(year + 1, 0, 1)];
}

/** Since when (part of it) and until when (no part of it), as albums write moments. */
export interface Times {
  since: string | null;
  until: string | null;
}

/** What was asked for; a message for people where that is no time. */
export function times(since: string | undefined, until: string | undefined): Times | string {
  const [from, to] = [since, until].map((text) => (text === undefined ? undefined : stretch(text)));
  const wrong = from === null ? `since: '${since}'` : to === null ? `until: '${until}'` : null;
  if (wrong !== null) return `${wrong} is no date: give 2025, 2025-06 or 2025-06-14`;
  if (from && from[0].getTime() > Date.now() + AHEAD) return `since ${since} is yet to come: no photo is from then`;
  if (from && to && from[0] >= to[1]) return `until ${until} is before since ${since}`;
  return { since: from ? written(from[0]) : null, until: to ? written(to[1]) : null };
}
