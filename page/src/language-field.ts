import { type Language } from "./engine";
import { byId, make } from "./dom";
import { isOwn, languageName, t } from "./i18n";

/** A field for the language to translate into: chosen from its list, or typed by any of its names. */
export class LanguageField {
  private readonly input: HTMLInputElement;
  private languages: Language[] = [];
  private chosen: Language | null = null;

  /** `changed` is called when another language is meant. */
  constructor(id: string, changed: () => void = () => {}) {
    this.input = byId(id, HTMLInputElement);
    this.input.addEventListener("focus", () => this.input.select()); // what is typed takes its place
    this.input.addEventListener("input", () => this.input.setCustomValidity(""));
    this.input.addEventListener("change", () => {
      const before = this.chosen;
      if (this.read() && this.chosen !== before) changed();
    });
  }

  /** The languages there are, called as the page's own language calls them; that one comes first to mind. */
  fill(languages: Language[]): void {
    this.languages = languages;
    const options = languages.map((one) => make("option", { value: languageName(one) }, `${one.called[0]} (${one.code})`));
    this.input.list?.replaceChildren(...options);
    this.chosen = languages.find(({ code }) => code === this.chosen?.code) ?? languages.find(isOwn) ?? languages[0] ?? null;
    if (this.chosen) this.input.value = languageName(this.chosen);
  }

  /** What is meant; null when no language is called so, which the field says. */
  read(): Language | null {
    const typed = key(this.input.value);
    const found = this.languages.find((one) => names(one).includes(typed));
    this.input.setCustomValidity(found || !this.languages.length ? "" : this.unknown(typed));
    if (!found) {
      this.input.reportValidity();
      return null;
    }
    this.chosen = found;
    return found;
  }

  /** The language that was meant last. */
  get last(): Language | null {
    return this.chosen;
  }

  private unknown(typed: string): string {
    const distance = (one: Language): number => Math.min(...names(one).map((name) => edits(typed, name)));
    const [near] = [...this.languages].sort((a, b) => distance(a) - distance(b));
    if (!near || distance(near) > Math.max(1, typed.length / 3)) return t("language.unknown");
    return t("language.near", { name: languageName(near) });
  }
}

const names = (one: Language): string[] => [one.name, one.code, languageName(one), ...one.called].map(key);

/** Without capitals, accents, and the difference of "_" and "-". */
const key = (text: string): string =>
  text.trim().toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").normalize("NFC").replaceAll("_", "-");

/** How many letters must change for one word to become the other (Levenshtein). */
function edits(one: string, other: string): number {
  let row = [...other, ""].map((_, at) => at);
  [...one].forEach((letter, above) => {
    const next = [above + 1];
    [...other].forEach((also, at) => {
      next.push(Math.min((row[at] ?? 0) + Number(letter !== also), (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    });
    row = next;
  });
  return row[row.length - 1] ?? 0;
}
