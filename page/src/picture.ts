import { engine } from "#engine";
import { isAbort, type Language, type Message, type Preset, withPicture } from "./engine";
import { byId, make, overlapping, put } from "./dom";
import { NotAPicture, type Picture, pictureIn, readPicture } from "./image-file";
import { languageName, languageOf, onLanguage, own, t } from "./i18n";
import { currentModel, explained, onServer, possible, presetName } from "./offered";
import { LanguageField } from "./language-field";
import { settings } from "./settings";
import { shoot } from "./shooting";
import { announce, announceCaption, speak } from "./voice";

/** A picture and the conversation about it. */
export class PictureView {
  private readonly drop = byId("drop", HTMLElement);
  private readonly shown = byId("shown", HTMLImageElement);
  private readonly log = byId("chat", HTMLElement);
  private readonly text = byId("ask-text", HTMLInputElement);
  private readonly language = new LanguageField("picture-language");
  private presets: Preset[] = [];
  private languages: Language[] = [];
  private picture: Picture | null = null;
  private turns: Message[] = []; // what a follow-up question may refer to
  private readonly taking = overlapping();
  private asking: AbortController | null = null;
  private scrolled: [page: number, log: number] = [0, 0]; // to where an answer was last in sight

  constructor() {
    const file = byId("picture-file", HTMLInputElement);
    file.addEventListener("change", () => {
      if (file.files?.[0]) void this.take(file.files[0]);
      file.value = ""; // the same file again is a change again
    });
    byId("shoot", HTMLButtonElement).addEventListener("click", () => void this.shoot());
    byId("ask-stop", HTMLButtonElement).addEventListener("click", () => this.asking?.abort());
    byId("ask", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const question = this.text.value.trim();
      if (!question) return this.text.focus();
      this.text.value = "";
      void this.ask(question, question);
    });
    this.acceptDrops();
    onServer(({ presets, languages }) => {
      this.presets = possible(presets);
      this.languages = languages;
      this.showPresets();
    });
    onLanguage(() => {
      this.showPresets();
      if (this.picture) this.shown.alt = t("picture.shown", { name: this.picture.name });
    });
  }

  /** Take a picture as the one to ask about; forget the conversation about the last one. */
  async take(file: Blob, name = file instanceof File ? file.name : t("picture.pasted")): Promise<void> {
    const isNewest = this.taking();
    const error = byId("drop-error", HTMLElement);
    error.hidden = true;
    let picture: Picture;
    try {
      picture = await readPicture(file, name);
      if (!isNewest()) return;
    } catch (problem) {
      if (!(problem instanceof NotAPicture)) throw problem;
      if (!isNewest()) return;
      error.textContent = t("picture.broken", { name });
      error.hidden = false;
      return;
    }
    this.picture = picture;
    this.asking?.abort();
    this.asking = null;
    this.setBusy(false);
    this.turns = [];
    this.log.replaceChildren();
    this.shown.src = picture.data;
    this.shown.alt = t("picture.shown", { name });
    this.shown.hidden = false;
    this.drop.dataset.full = "true";
    announce(this.shown.alt);
  }

  private acceptDrops(): void {
    const view = byId("view-picture", HTMLElement);
    const over = (on: boolean) => (event: DragEvent) => {
      event.preventDefault();
      this.drop.dataset.over = String(on);
    };
    view.addEventListener("dragover", over(true));
    view.addEventListener("dragleave", over(false));
    view.addEventListener("drop", (event) => {
      over(false)(event);
      const file = pictureIn(event.dataTransfer);
      if (file) void this.take(file);
    });
    document.addEventListener("paste", (event) => {
      const file = view.hidden ? null : pictureIn(event.clipboardData);
      if (file) void this.take(file, t("picture.pasted"));
    });
  }

  private async shoot(): Promise<void> {
    const shot = await shoot();
    if (shot) await this.take(shot, t("picture.shot"));
  }

  private showPresets(): void {
    this.language.fill(this.languages);
    byId("picture-language-field", HTMLElement).hidden = !this.presets.some(({ id }) => id === "translate");
    const buttons = this.presets.map(({ id, prompt }) => {
      const button = make("button", { type: "button" }, presetName(id));
      button.addEventListener("click", () => {
        const language = id === "translate" ? this.language.read() : null;
        if (id === "translate" && !language) return;
        const words = prompt.replace("{language}", language?.name ?? "");
        const to = language ? ` → ${languageName(language)}` : "";
        this.turns = []; // a ready question is about the picture, not about the talk so far
        void this.ask(words, presetName(id) + to);
      });
      return button;
    });
    byId("asks", HTMLElement).replaceChildren(...buttons);
  }

  /** Ask `question`; the log shows it as `label`. */
  private async ask(question: string, label: string): Promise<void> {
    if (!this.picture) {
      announce(t("picture.first"));
      const error = byId("drop-error", HTMLElement);
      error.textContent = t("picture.first");
      error.hidden = false;
      return byId("picture-file", HTMLInputElement).focus();
    }
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const asked: Message = this.turns.length
      ? { role: "user", content: question }
      : withPicture(this.picture.data, question);
    const messages = [...this.turns, asked];
    const said = this.addTurn(label);
    this.setBusy(true);
    try {
      const answer = await engine.chat(currentModel(), messages, (text) => this.showText(said, text), asking.signal);
      this.turns = [...messages, { role: "assistant", content: answer.text }];
      const unsure = answer.doubt !== null;
      const time = t("live.ttft", { time: answer.firstToken.toFixed(2) });
      this.follow(said, () => {
        if (unsure) said.after(remark());
        said.after(make("p", { className: "soft small-text" }, time));
      });
      announceCaption(answer.text, unsure);
      if (settings.speak) speak(answer.text, ...(unsure ? [t("unsure.short")] : []));
    } catch (error) {
      const words = isAbort(error) ? own(t("picture.stopped")) : explained(error);
      const line = make("p", { className: isAbort(error) ? "soft" : "error" });
      put(line, words);
      this.follow(said, () => said.after(line));
      if (this.asking === asking) announce(words.text, words.lang); // else the person has gone on
    } finally {
      said.removeAttribute("aria-busy");
      if (this.asking === asking) this.setBusy(false);
    }
  }

  private addTurn(label: string): HTMLElement {
    const said = make("p", { className: "answer" });
    said.setAttribute("aria-busy", "true");
    const you = make("span", { className: "hidden-text" }, `${t("picture.you")}: `);
    this.log.append(
      make("div", { className: "you" }, make("p", {}, you, label)),
      make("div", { className: "galago" }, said),
    );
    this.reveal(said);
    return said;
  }

  private showText(said: HTMLElement, text: string): void {
    this.follow(said, () => {
      said.textContent = text;
      said.lang = languageOf(text);
    });
  }

  /** Let an answer grow, and keep its end in sight for who has not scrolled back since. */
  private follow(said: HTMLElement, grow: () => void): void {
    const [page, log] = this.scrolled;
    const watched = scrollY >= page - 1 && this.log.scrollTop >= log - 1;
    grow();
    if (watched) this.reveal(said);
  }

  private reveal(said: HTMLElement): void {
    said.parentElement?.scrollIntoView({ block: "nearest" });
    this.scrolled = [scrollY, this.log.scrollTop];
  }

  private setBusy(busy: boolean): void {
    byId("ask-stop", HTMLElement).hidden = !busy;
  }
}

/** That the model was not sure; it follows the language of the page. */
function remark(): HTMLElement {
  const line = make("p", { className: "unsure" }, t("unsure"));
  line.dataset.t = "unsure";
  return line;
}
