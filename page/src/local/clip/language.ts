/** Which writing a MobileCLIP was taught, and what is said of words in another: galago/text/languages.py. */

const LETTER = /\p{L}/u;
const LATIN = /\p{Script=Latin}/u;

const isForeign = (letter: string): boolean => !LATIN.test(letter) || letter === "ª" || letter === "º";
const letters = (text: string): string[] => [...text].filter((one) => LETTER.test(one));

/** Whether more than half of its letters are of another script than Latin. */
export function unread(text: string): boolean {
  const all = letters(text);
  return 2 * all.filter(isForeign).length > all.length;
}

/** Whether a part of it is in another script than Latin: 红色 dress. */
export const needsEnglish = (text: string): boolean => letters(text).some(isForeign);

/** What to say when a text isn't in letters that the model reads; null when all are. */
export function languageNote(texts: readonly string[], model: string): string | null {
  const found = texts.find(unread);
  if (found === undefined) return null;
  const letters = [...found];
  const shown = letters.length <= 40 ? found : `${letters.slice(0, 39).join("")}…`;
  return `${model} reads English only: what it makes of “${shown}” is chance; say it in English`;
}
