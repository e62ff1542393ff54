import { isAbort, type HubModel, type Models } from "./engine";
import { byId, make, put } from "./dom";
import { onLanguage, own, said, t, type Words } from "./i18n";
import { currentModel, explained, offerAgain, onServer } from "./offered";
import { bytes } from "./sizes";
import { announce } from "./voice";

/** In the settings: which model answers, where this browser can run others than the page's own. */
export class ModelChoice {
  private readonly error = byId("models-error", HTMLElement);
  private readonly back = byId("models-back", HTMLButtonElement);
  private readonly folder = byId("models-folder", HTMLInputElement);
  private fetching: { id: string; stop: AbortController } | null = null;

  constructor(private readonly models: Models) {
    byId("models", HTMLElement).hidden = false;
    this.back.addEventListener("click", () => {
      this.back.blur();
      void this.try(async () => models.back());
      this.folder.focus(); // the button goes
    });
    this.folder.addEventListener("change", () => {
      const files = [...(this.folder.files ?? [])];
      this.folder.value = "";
      if (files.length) void this.try(() => models.fromFolder(files));
    });
    onServer(() => void this.show());
    onLanguage(() => void this.show());
  }

  /** Do what may change the model that answers; what goes wrong is told. */
  private async try(work: () => Promise<unknown>): Promise<void> {
    this.tell(null);
    try {
      await work();
      await offerAgain();
    } catch (error) {
      if (isAbort(error)) announce(t("models.stopped"));
      else this.tell(explained(error));
    }
    await this.show();
  }

  private tell(words: Words | null): void {
    this.error.hidden = words === null;
    put(this.error, words ?? own(""));
  }

  private async show(): Promise<void> {
    const { models } = this;
    const model = currentModel();
    byId("models-now", HTMLElement).textContent = model && t("models.now", { model });
    this.back.hidden = models.chosen === null;
    this.folder.disabled = this.fetching !== null;
    const problem = await models.problem();
    if (models.chosen !== null) this.back.textContent = t("models.back", { model: await models.own().catch(() => "") });
    byId("models-hub", HTMLElement).replaceChildren(...models.hub.flatMap((one) => this.offer(one, problem)));
  }

  /** What a model of the hub is, and what can be done with it here. */
  private offer(one: HubModel, problem: string | null): HTMLElement[] {
    const { id, host } = one;
    const kept = this.models.kept(id);
    const values = { model: id, host, size: bytes(one.bytes), licence: said(one.licence).text };
    const page = make("a", { href: one.page, target: "_blank", rel: "noreferrer" }, t("models.hub.page", values));
    const about = make("p", { className: "soft small-text" }, t("models.hub", values), " ", page);
    const row = make("div", { className: "row" });
    if (this.fetching?.id === id) {
      row.append(this.button(t("models.stop"), () => this.fetching?.stop.abort()));
    } else {
      if (this.models.chosen !== id) {
        const key = kept === "all" ? "models.use" : kept ? "models.on" : "models.fetch";
        const get = this.button(t(key, values), () => void this.fetch(id));
        get.disabled = problem !== null || this.fetching !== null;
        row.append(get);
      }
      if (kept) row.append(this.button(t("models.remove", values), () => void this.remove(id)));
    }
    if (problem === null) return [about, row];
    const why = make("p", { className: "small-text" });
    put(why, said(problem));
    return [about, row, why];
  }

  private button(text: string, pressed: () => void): HTMLButtonElement {
    const button = make("button", { type: "button", className: "small" }, text);
    button.addEventListener("click", pressed);
    return button;
  }

  private async fetch(id: string): Promise<void> {
    const stop = new AbortController();
    this.fetching = { id, stop };
    const done = this.try(async () => {
      await this.models.fromHub(id, stop.signal).finally(() => (this.fetching = null));
    });
    await this.show();
    byId("models-hub", HTMLElement).querySelector("button")?.focus();
    await done;
    byId("models-hub", HTMLElement).querySelector("button")?.focus();
  }

  private async remove(id: string): Promise<void> {
    await this.try(() => this.models.forget(id));
    announce(t("models.removed", { model: id }));
    this.folder.focus();
  }
}
