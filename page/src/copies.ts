import { engine } from "#engine";
import { type Copies, type CopiesState, type CopyOfPhoto, type Group } from "./engine";
import { byId, make, overlapping, put, saveFile, sleep } from "./dom";
import { onLanguage, own, said, t } from "./i18n";
import { shellWord, withZeros } from "./path-list";
import { explained, serverBack } from "./offered";
import { bytes, count, moment } from "./sizes";
import { announce } from "./voice";

const GROUPS = 12; // at once
const THUMB = 320; // pixels
const EVERY = 700; // ms between looks at a search that is under way

/** Groups of copies, side by side with what one decides by. Marks make a list; nothing is deleted. */
export class CopiesView {
  private readonly said = byId("copies-said", HTMLElement);
  private readonly following = overlapping();
  private state: CopiesState | null = null;
  private first = 0;
  private urls: string[] = [];
  private loading = new AbortController();
  private readonly marked = new Map<string, { bytes: number; group: number }>(); // by path
  private readonly sizes = new Map<number, number>(); // group -> its photos that are there

  constructor(private readonly found: Copies) {
    const on = (id: string, act: () => void): void =>
      byId(id, HTMLButtonElement).addEventListener("click", act);
    on("compare", () => void this.start());
    on("compare-stop", () => void this.found.stopComparing().then(() => this.follow(), () => {}));
    on("copies-back", () => this.turn(-GROUPS));
    on("copies-on", () => this.turn(GROUPS));
    on("copies-mark", () => this.markSmaller());
    on("copies-unmark", () => this.unmark());
    on("copies-copy", () => void this.copy());
    on("copies-save", () => saveFile("galago-not-needed.lst", withZeros(this.paths()), "application/octet-stream"));
    onLanguage(() => {
      if (this.state !== null) this.show(this.state);
    });
  }

  /** The view is opened: what was found before is still there. */
  open(): void {
    void this.follow();
  }

  private async start(): Promise<void> {
    this.first = 0;
    this.unmark();
    try {
      await this.found.compare(byId("compare-alike", HTMLInputElement).checked);
    } catch (error) {
      put(this.said, explained(error));
      return;
    }
    await this.follow();
  }

  private async follow(): Promise<void> {
    const isNewest = this.following();
    let ran = false;
    for (;;) {
      try {
        const state = await this.found.copiesFound(this.first, GROUPS);
        if (!isNewest()) return;
        this.show(state);
        if (!state.running && ran) announce(this.said.textContent ?? "");
        if (!state.running) return;
        ran = true;
      } catch {
        await serverBack();
        if (!isNewest()) return;
      }
      await sleep(EVERY);
      if (!isNewest()) return;
    }
  }

  private turn(by: number): void {
    this.first = Math.max(0, this.first + by);
    byId("copies-title", HTMLElement).focus();
    void this.follow();
  }

  private show(state: CopiesState): void {
    const isNew = this.state === null || this.state.number !== state.number;
    if (isNew) this.forgetMarks();
    this.state = state;
    byId("compare", HTMLButtonElement).disabled = state.running;
    byId("compare-stop", HTMLElement).hidden = !state.running;
    const bar = byId("compare-bar", HTMLProgressElement);
    bar.hidden = !state.running;
    bar.value = state.share;
    this.introduce(state);
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    this.loading.abort();
    this.loading = new AbortController();
    const groups = state.groups.map((group, at) => this.group(group, state.first + at));
    byId("copies", HTMLElement).replaceChildren(...groups);
    const several = state.count > GROUPS;
    byId("copies-turn", HTMLElement).hidden = !several;
    byId("copies-back", HTMLButtonElement).disabled = state.first === 0;
    byId("copies-on", HTMLButtonElement).disabled = state.first + GROUPS >= state.count;
    const last = Math.min(state.count, state.first + GROUPS);
    byId("copies-where", HTMLElement).textContent =
      t("copies.where", { from: count(state.first + 1), to: count(last), all: count(state.count) });
    for (const id of ["copies-marks", "copies-tools", "copies-how"]) byId(id, HTMLElement).hidden = state.count === 0;
    this.showMarks();
  }

  private introduce(state: CopiesState): void {
    if (state.running) return put(this.said, own(t("copies.running")));
    if (state.problem !== null) return put(this.said, said(state.problem));
    if (state.stopped) return put(this.said, own(t("copies.stopped")));
    if (!state.found) return put(this.said, own(""));
    const found = state.count === 1 ? t("copies.group", { photos: count(state.photos) })
      : t("copies.groups", { n: count(state.count), photos: count(state.photos) });
    const parts = [state.count ? found : t("copies.none")];
    if (state.alike) parts.push(t("copies.alike", { n: count(state.alike) }));
    put(this.said, own(parts.join(" ")));
    if (state.note === null) return;
    const note = make("span");
    put(note, said(state.note));
    this.said.append(" ", note);
  }

  private group(group: Group, number: number): HTMLElement {
    this.sizes.set(number, group.photos.filter(({ gone }) => !gone).length + group.more);
    const photos = group.photos.map((one) => this.photo(one, number));
    const list = make("ul", { className: "grid" }, ...photos);
    const title = make("h3", {}, t("copies.title", { n: number + 1, photos: group.photos.length + group.more }));
    const item = make("li", { className: "card group" }, title, list);
    if (group.more) item.append(make("p", { className: "soft" }, t("copies.more", { n: group.more })));
    return item;
  }

  private photo(one: CopyOfPhoto, group: number): HTMLElement {
    const image = make("img", { alt: "", width: THUMB, height: THUMB });
    const box = make("input", { type: "checkbox", checked: this.marked.has(one.path), disabled: one.gone });
    box.dataset.path = one.path;
    box.addEventListener("change", () => this.mark(one, group, box.checked));
    const name = make("span", { className: "name" }, one.name);
    const told = [name, make("span", { className: "soft place" }, one.folder), ...facts(one)];
    const words = told.flatMap((each) => [" ", each]); // blanks, or they run together where they are read out
    const choose = make("span", { className: "choose" }, box, ` ${t("copies.leave")}`);
    if (!one.gone && one.id !== null) {
      void engine.photo(one.id, THUMB, this.loading.signal)
        .then((blob) => {
          image.src = URL.createObjectURL(blob);
          this.urls.push(image.src);
        })
        .catch(() => image.classList.add("gone")); // its name stays
    } else image.classList.add("gone");
    const label = make("label", { className: "tile copy" }, image, ...words, " ", choose);
    return make("li", {}, label);
  }

  private mark(one: CopyOfPhoto, group: number, on: boolean): void {
    if (on) this.marked.set(one.path, { bytes: one.bytes, group });
    else this.marked.delete(one.path);
    this.showMarks();
  }

  /** On this page, all but the one of each group that has most pixels. */
  private markSmaller(): void {
    const state = this.state;
    state?.groups.forEach((group, at) => {
      for (const one of group.photos) {
        if (!one.gone && !one.most) this.marked.set(one.path, { bytes: one.bytes, group: state.first + at });
        else this.marked.delete(one.path);
      }
    });
    this.showMarks();
  }

  private unmark(): void {
    this.marked.clear();
    this.showMarks();
  }

  private forgetMarks(): void {
    this.marked.clear();
    this.sizes.clear();
  }

  private showMarks(): void {
    for (const box of byId("copies", HTMLElement).querySelectorAll("input")) {
      box.checked = this.marked.has(box.dataset.path ?? "");
    }
    const none = this.marked.size === 0;
    let size = 0;
    const of = new Map<number, number>();
    for (const { bytes: one, group } of this.marked.values()) {
      size += one;
      of.set(group, (of.get(group) ?? 0) + 1);
    }
    const whole = [...of].filter(([group, n]) => n >= (this.sizes.get(group) ?? Infinity)).map(([group]) => group + 1);
    byId("copies-marked", HTMLElement).textContent =
      none ? t("copies.unmarked") : t("copies.marked", { n: count(this.marked.size), size: bytes(size) });
    const warning = byId("copies-whole", HTMLElement);
    warning.hidden = whole.length === 0;
    warning.textContent = whole.length ? t("copies.whole", { groups: whole.slice(0, 5).join(", ") }) : "";
    for (const id of ["copies-unmark", "copies-copy", "copies-save"]) byId(id, HTMLButtonElement).disabled = none;
  }

  private paths(): string[] {
    return [...this.marked.keys()];
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.paths().map((path) => `${shellWord(path)}\n`).join(""));
      announce(t("copied"));
    } catch {
      announce(t("copies.copy.failed"));
    }
  }
}

/** What one decides by. */
function facts(one: CopyOfPhoto): HTMLElement[] {
  const line = (text: string, className = "fact"): HTMLElement => make("span", { className }, text);
  if (one.gone) return [line(t("copies.gone"), "error")];
  const size = one.width === null ? "" : `${one.width} × ${one.height} · `;
  const lines = [line(size + bytes(one.bytes))];
  if (one.time !== null) {
    lines.push(line(t(one.by_camera ? "copies.taken" : "copies.saved", { time: moment(one.time) })));
  }
  const badges = [
    ...(one.most ? [t("copies.most")] : []),
    ...(one.oldest ? [t("copies.oldest")] : []),
    ...(one.same ? [] : [t("copies.likeness", { percent: Math.floor(100 * one.likeness) })]),
  ];
  const marks = badges.map((text) => line(text, "badge"));
  return marks.length ? [...lines, make("span", { className: "badges" }, ...marks.flatMap((mark) => [mark, " "]))] : lines;
}
