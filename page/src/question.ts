import { type Language } from "./engine";
import { byId, make } from "./dom";
import { onLanguage } from "./i18n";
import { LanguageField } from "./language-field";
import { onServer, possible, presetName } from "./offered";

/** What is asked of every frame: a ready question or one's own. */
export class Question {
  private readonly chips = byId("presets", HTMLElement);
  private readonly own = byId("own", HTMLTextAreaElement);
  private readonly language: LanguageField;
  private prompts = new Map<string, string>();
  private languages: Language[] = [];
  private chosen = "describe";
  private words = ""; // one's own

  /** `changed` is called when something else is to be asked. */
  constructor(private readonly changed: () => void) {
    byId("question", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
    this.own.addEventListener("change", () => this.takeOwn());
    this.own.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.takeOwn();
    });
    this.language = new LanguageField("live-language", changed);
    onServer(({ presets, languages }) => {
      this.prompts = new Map(possible(presets).map(({ id, prompt }) => [id, prompt]));
      this.languages = languages;
      this.show();
      if (this.chosen !== "own" && !this.prompts.has(this.chosen)) this.choose("describe");
    });
    onLanguage(() => this.show());
  }

  /** The words to send; empty while one's own question has none. */
  get prompt(): string {
    if (this.chosen === "own") return this.words;
    const prompt = this.prompts.get(this.chosen) ?? "";
    return prompt.replace("{language}", this.language.last?.name ?? "English");
  }

  /** One's own question counts once it is typed, not letter by letter. */
  private takeOwn(): void {
    const words = this.own.value.trim();
    if (words === this.words) return;
    this.words = words;
    this.changed();
  }

  private show(): void {
    if (!this.prompts.size) return; // no server yet
    this.language.fill(this.languages);
    const chips = [...this.prompts.keys(), "own"].map((id) => {
      const radio = make("input", { type: "radio", name: "preset", value: id });
      radio.checked = id === this.chosen;
      radio.addEventListener("change", () => this.choose(id));
      return make("label", { className: "chip" }, radio, make("span", {}, presetName(id)));
    });
    this.chips.replaceChildren(...chips);
  }

  private choose(id: string): void {
    this.chosen = id;
    for (const radio of this.chips.querySelectorAll("input")) radio.checked = radio.value === id;
    byId("own-field", HTMLElement).hidden = id !== "own";
    byId("live-language-field", HTMLElement).hidden = id !== "translate";
    this.changed();
  }
}
