import { en, type Texts } from "./texts/en";
import { zh } from "./texts/zh";
import { said as saidInChinese } from "./texts/zh-said";

/** Language tag -> its own name and its texts. */
export const LANGUAGES: Record<string, { name: string; texts: Texts }> = {
  en: { name: "English", texts: en },
  zh: { name: "中文", texts: zh },
};

let texts: Texts = en;
const listeners: (() => void)[] = [];

/** The text of a key in the language of the page, with {names} filled in. */
export function t(key: keyof Texts, values: Record<string, string | number> = {}): string {
  return texts[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

// What servers say in English, in the languages of the page.
const SAID: Record<string, Record<string, string>> = { zh: saidInChinese };

/** Words that may be of another language than the page. */
export interface Words {
  text: string;
  lang: string;
}

/** In the language of the page. */
export const own = (text: string): Words => ({ text, lang: document.documentElement.lang });

/** What a server said, in the language of the page if it is known, else as it is: in English. */
export function said(text: string): Words {
  const known = SAID[document.documentElement.lang]?.[text];
  return known === undefined ? { text, lang: "en" } : own(known);
}

/** "a, b and c" as the page's language lists things. */
export const listed = (names: string[]): string =>
  new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" }).format(names);

/** A day (such as "2024-05-31") as the page's language writes it. */
export const dayName = (day: string): string =>
  new Intl.DateTimeFormat(document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang, {
    dateStyle: "long",
    timeZone: "UTC",
  }).format(new Date(day));

/** So many seconds as the page's language says them: "7 days". */
export function timeSpan(seconds: number): string {
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60]] as const;
  const [unit, length] = units.find(([, length]) => seconds % length === 0) ?? (["second", 1] as const);
  const format = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 } as const;
  return new Intl.NumberFormat(document.documentElement.lang, format).format(seconds / length);
}

/** Whether there is such a text: ready questions of a newer server may have none. */
export const isKey = (key: string): key is keyof Texts => key in en;

/** The first language of the browser that the page speaks. */
export function preferredLanguage(): string {
  const wanted = navigator.languages.map((tag) => tag.split("-")[0] ?? "");
  return wanted.find((tag) => tag in LANGUAGES) ?? "en";
}

/** Put the whole page into a language; parts that write their own texts follow. */
export function setLanguage(tag: string): void {
  texts = LANGUAGES[tag]?.texts ?? en;
  document.documentElement.lang = tag in LANGUAGES ? tag : "en";
  const fill = (attribute: string, put: (element: HTMLElement, text: string) => void): void => {
    for (const element of document.querySelectorAll<HTMLElement>(`[${attribute}]`)) {
      put(element, t(element.getAttribute(attribute) as keyof Texts));
    }
  };
  fill("data-t", (element, text) => (element.textContent = text));
  fill("data-t-label", (element, text) => element.setAttribute("aria-label", text));
  fill("data-t-placeholder", (element, text) => element.setAttribute("placeholder", text));
  for (const listener of listeners) listener();
}

/** Call this now and after every change of the language. */
export function onLanguage(listener: () => void): void {
  listeners.push(listener);
  listener();
}

/** The language a text is probably in, for voices and screen readers: models mostly write English. */
export function languageOf(text: string): string {
  if (/[\u3040-\u30ff]/.test(text)) return "ja";
  if (/[\u4e00-\u9fff]/.test(text)) return "zh";
  if (/[\uac00-\ud7af]/.test(text)) return "ko";
  if (/[\u0400-\u04ff]/.test(text)) return "ru";
  if (/[\u0600-\u06ff]/.test(text)) return "ar";
  return "en";
}

/** A language as the page's own calls it, such as 法语 for "French". */
export function languageName({ name, code }: { name: string; code: string }): string {
  return new Intl.DisplayNames(document.documentElement.lang, { type: "language", fallback: "none" }).of(code) ?? name;
}

/** Whether a language is the page's own. */
export const isOwn = ({ code }: { code: string }): boolean => code === document.documentElement.lang;
