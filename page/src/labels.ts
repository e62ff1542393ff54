import { engine } from "#engine";
import { byId, make, overlapping, put } from "./dom";
import { NotAPicture, type Picture, readPicture } from "./image-file";
import { listed, own, t } from "./i18n";
import { explained } from "./offered";

/** Zero-shot labels: a picture, and words that the person types. */
export class Labels {
  private readonly words = byId("labels-text", HTMLInputElement);
  private readonly said = byId("labels-said", HTMLElement);
  private readonly begin = overlapping();
  private picture: Picture | null = null;

  constructor() {
    const file = byId("labels-file", HTMLInputElement);
    file.addEventListener("change", () => {
      if (file.files?.[0]) void this.take(file.files[0], file.files[0].name);
      file.value = "";
    });
    byId("classify", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.sort();
    });
  }

  /** Take a picture; sorts at once when labels are there already. */
  async take(blob: Blob, name: string): Promise<void> {
    const isNewest = this.begin();
    const shown = byId("labels-shown", HTMLImageElement);
    try {
      const picture = await readPicture(blob, name);
      if (!isNewest()) return;
      this.picture = picture;
    } catch (error) {
      if (!(error instanceof NotAPicture)) throw error;
      if (isNewest()) this.said.textContent = t("picture.broken", { name });
      return;
    }
    shown.src = this.picture.data;
    shown.alt = name;
    shown.hidden = false;
    byId("shares", HTMLElement).replaceChildren();
    this.said.textContent = "";
    this.words.focus();
    if (this.labels().length > 1) await this.sort();
  }

  private labels(): string[] {
    const words = this.words.value.split(/[,;\n，、；]/).map((word) => word.trim());
    return [...new Set(words.filter(Boolean))];
  }

  private async sort(): Promise<void> {
    const labels = this.labels();
    if (!this.picture || labels.length < 2) {
      this.said.textContent = t("labels.first");
      return;
    }
    const isNewest = this.begin();
    try {
      const { labels: shares, doubt } = await engine.classify(this.picture.data, labels);
      if (!isNewest()) return;
      const best = shares[0];
      if (best) put(this.said, own(t("labels.best", { label: best.label, share: percent(best.share) })));
      const strange = shares.filter((one) => one.strange).map((one) => one.label);
      if (doubt !== null) this.said.append(" ", remark(t("labels.unsure")));
      if (strange.length) this.said.append(" ", remark(t("words.strange", { words: listed(strange) })));
      byId("shares", HTMLElement).replaceChildren(...shares.map(bar));
    } catch (error) {
      if (isNewest()) put(this.said, explained(error));
    }
  }
}

/** Inside what is read aloud: shares alone look sure. */
const remark = (text: string): HTMLElement => make("span", { className: "unsure" }, text);

const percent = (share: number): string => (100 * share).toFixed(share < 0.1 ? 1 : 0);

function bar({ label, share }: { label: string; share: number }): HTMLElement {
  const meter = make("meter", { min: 0, max: 1, value: share });
  meter.setAttribute("aria-label", label);
  return make("li", {}, make("span", {}, label), meter, make("span", {}, `${percent(share)} %`));
}
