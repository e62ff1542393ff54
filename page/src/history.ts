import { type Caption, clock, toText, toVtt } from "./captions";
import { byId, make, saveFile } from "./dom";
import { languageOf, onLanguage, t } from "./i18n";
import { announce } from "./voice";

const KEPT = 500; // captions

/** The captions of this session, newest first on the page, with the buttons that take them along. */
export class History {
  private captions: Caption[] = [];
  private readonly list = byId("history", HTMLOListElement);

  constructor() {
    const on = (id: string, act: () => void): void =>
      byId(id, HTMLButtonElement).addEventListener("click", act);
    on("copy", () => void this.copy());
    on("save-text", () => saveFile(`${this.name()}.txt`, toText(this.captions), "text/plain"));
    on("save-vtt", () => saveFile(`${this.name()}.vtt`, toVtt(this.captions), "text/vtt"));
    on("clear", () => {
      this.captions = [];
      this.list.replaceChildren();
      this.showWhether();
      byId("history-title", HTMLElement).focus();
    });
    onLanguage(() => {
      for (const mark of this.list.querySelectorAll(".unsure")) mark.textContent = t("unsure");
    });
  }

  /** Add what was seen; the same words again only last longer. */
  add(caption: Caption): void {
    const last = this.captions.at(-1);
    if (last?.text === caption.text) {
      last.to = Math.max(last.to, caption.to);
      return;
    }
    this.captions.push(caption);
    const time = make("time", { dateTime: caption.at.toISOString() }, clock(caption.at));
    const text = make("span", { lang: languageOf(caption.text) }, caption.text);
    const item = make("li", {}, time, text);
    if (caption.unsure) item.append(make("span", { className: "unsure" }, t("unsure")));
    this.list.prepend(item);
    if (this.captions.length > KEPT) {
      this.captions.shift();
      this.list.lastElementChild?.remove();
    }
    this.showWhether();
  }

  private showWhether(): void {
    const empty = this.captions.length === 0;
    this.list.hidden = empty;
    byId("history-tools", HTMLElement).hidden = empty;
    byId("history-empty", HTMLElement).hidden = !empty;
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(toText(this.captions));
      announce(t("copied"));
    } catch {
      announce(t("copy.failed"));
    }
  }

  private name(): string {
    const first = this.captions[0]?.at ?? new Date();
    const day = first.toLocaleDateString("sv"); // Swedish writes dates as ISO 8601 does
    return `galago-${day}-${clock(first).replaceAll(":", "")}`;
  }
}
