import { engine } from "#engine";
import { Busy, type Found, type Hit, isAbort, type PageInfo, type Query, Refused, type Sight } from "./engine";
import { byId, make, overlapping, put } from "./dom";
import { NotAPicture, type Picture, pictureIn, readPicture } from "./image-file";
import { dayName, languageOf, listed, onLanguage, own, said, t, type Words } from "./i18n";
import { type Labels } from "./labels";
import { type PictureView } from "./picture";
import { explained, server } from "./offered";
import { WhereFields } from "./where";

const SHOWN = 24; // photos
const THUMB = 320; // pixels
const LARGE = 1024; // pixels

// What the page says in its own words when nothing matches.
const KNOWN_NOTE = "no photo matches; these are merely the nearest";

/** Search in the album, and what can be done with a photo that was found. */
export class Album {
  private readonly said = byId("found", HTMLElement);
  private readonly dialog = byId("photo", HTMLDialogElement);
  private like: Picture | null = null;
  private searching: AbortController | null = null;
  private typed: Query | null = null; // to search with the words as they were typed
  private album: PageInfo["album"] = null;
  private problem: string | null = null; // why there is an album that can't be searched
  private urls: string[] = [];
  private images = new Map<number, HTMLImageElement>(); // of the photos found
  private seen: Sight[] = [];
  private readonly where = new WhereFields();
  private readonly choosing = overlapping(); // of a picture to find the like of
  private readonly opening = overlapping(); // of a photo
  private readonly actions = ["photo-ask", "photo-like", "photo-label"].map((id) => byId(id, HTMLButtonElement));
  private opened: { blob: Blob; name: string; url: string } | null = null;

  constructor(
    private readonly pictureView: PictureView,
    private readonly labels: Labels,
  ) {
    byId("find", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.search();
    });
    const file = byId("find-file", HTMLInputElement);
    file.addEventListener("change", () => {
      if (file.files?.[0]) void this.findLike(file.files[0], file.files[0].name);
      file.value = "";
    });
    byId("as-is", HTMLButtonElement).addEventListener("click", () => {
      if (this.typed) void this.find({ ...this.typed, as_is: true });
      byId("find-text", HTMLInputElement).focus(); // the button goes
    });
    byId("like-drop", HTMLButtonElement).addEventListener("click", () => this.setLike(null));
    this.acceptDrops();
    this.connectDialog();
    void server().then((info) => {
      this.take(info);
      onLanguage(() => {
        this.introduce();
        for (const sight of this.seen) this.describe(sight);
      });
    });
  }

  /** Look again: an album may have been made or grown since. */
  async refresh(): Promise<void> {
    await server();
    this.take(await engine.pageInfo());
    this.introduce();
  }

  private take({ album, album_problem }: PageInfo): void {
    this.album = album;
    this.problem = album_problem;
    this.where.offer(album?.folders ?? []);
  }

  private introduce(): void {
    byId("album-missing", HTMLElement).hidden = this.album !== null;
    byId("album-there", HTMLElement).hidden = this.album === null;
    const none = t(engine.here ? "album.none.here" : "album.none");
    const why = this.problem === null ? none : t("album.broken", { reason: this.problem });
    if (this.album === null) byId("album-none", HTMLElement).textContent = why;
    else if (!this.searching) {
      const { name, photos, model } = this.album;
      put(this.said, own(t(engine.here ? "album.about.here" : "album.about", { name, photos, model })));
    }
  }

  private acceptDrops(): void {
    const form = byId("find", HTMLFormElement);
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      const file = pictureIn(event.dataTransfer);
      if (file) void this.findLike(file, file.name);
    });
  }

  private async findLike(blob: Blob, name: string): Promise<void> {
    const isNewest = this.choosing();
    try {
      const picture = await readPicture(blob, name);
      if (!isNewest()) return;
      this.setLike(picture);
    } catch (error) {
      if (!(error instanceof NotAPicture)) throw error;
      if (isNewest()) this.said.textContent = t("picture.broken", { name });
      return;
    }
    await this.search();
  }

  private setLike(picture: Picture | null): void {
    this.like = picture;
    const line = byId("like", HTMLElement);
    line.hidden = picture === null;
    byId("like-shown", HTMLImageElement).src = picture?.data ?? "";
    const words = line.querySelector("span");
    if (words) words.textContent = picture ? t("album.liked", { name: picture.name }) : "";
    if (picture === null) byId("find-text", HTMLInputElement).focus();
  }

  private async search(): Promise<void> {
    const value = (id: string): string => byId(id, HTMLInputElement).value.trim();
    const [text, minus] = [value("find-text"), value("find-minus")];
    const image = this.like?.data;
    const { text_only, ...among } = this.where.value();
    const listing = Object.keys(among).length > 0 && !minus && !text_only;
    if (!text && !image && !listing) {
      this.said.textContent = t("album.first");
      return byId("find-text", HTMLInputElement).focus();
    }
    await this.find({
      ...(text && { text }),
      ...(image && { image }),
      ...(minus && { minus }),
      ...among,
      ...(text_only && { text_only }),
      k: SHOWN,
    });
  }

  private async find(query: Query): Promise<void> {
    this.searching?.abort();
    const searching = (this.searching = new AbortController());
    this.said.textContent = t("album.searching");
    this.showInstead(null);
    this.typed = query;
    try {
      this.show(await engine.searchAlbum(query, searching.signal), searching.signal);
    } catch (error) {
      if (isAbort(error)) return;
      put(this.said, explained(error));
    }
  }

  private show(found: Found, signal: AbortSignal): void {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    const matches = found.hits.filter((hit) => hit.match);
    const others = found.hits.filter((hit) => !hit.match);
    const count = matches.length;
    const words = count === 1 ? t("album.match") : t("album.matches", { n: count });
    put(this.said, own(count ? words : t("album.nothing")));
    this.showInstead(found.searched_for ?? null);
    const strange = found.strange ?? [];
    if (strange.length) {
      const note = make("span", { className: "unsure" });
      put(note, own(t("words.strange", { words: listed(strange) })));
      this.said.append(" ", note);
    } else if (found.note && found.note !== KNOWN_NOTE) {
      const note = make("span");
      put(note, said(found.note));
      this.said.append(" ", note);
    }
    this.images = new Map();
    this.seen = [];
    byId("hits", HTMLElement).replaceChildren(...matches.map((hit) => this.tile(hit, signal)));
    const rest = byId("rest", HTMLDetailsElement);
    rest.hidden = others.length === 0;
    rest.open = false;
    const summary = rest.querySelector("summary");
    if (summary) summary.textContent = t("album.rest", { n: others.length });
    byId("rest-hits", HTMLElement).replaceChildren(...others.map((hit) => this.tile(hit, signal)));
    void this.putIntoWords(signal);
  }

  /** What was searched for in the place of what was typed. */
  private showInstead(words: string | null): void {
    byId("instead", HTMLElement).hidden = words === null;
    byId("instead-words", HTMLElement).textContent = words ?? "";
  }

  /** For who doesn't see the photos; that comes after them, as the first time takes a moment. */
  private async putIntoWords(signal: AbortSignal): Promise<void> {
    if (!this.images.size) return;
    try {
      this.seen = await engine.sights([...this.images.keys()], signal);
    } catch {
      return; // their names stay
    }
    for (const sight of this.seen) this.describe(sight);
  }

  private describe(sight: Sight): void {
    const image = this.images.get(sight.id);
    if (!image) return;
    const { text, lang } = inWords(sight);
    image.alt = text;
    image.lang = lang;
  }

  private tile(hit: Hit, signal: AbortSignal): HTMLElement {
    const image = make("img", { alt: "", width: THUMB, height: THUMB });
    this.images.set(hit.id, image);
    const name = make("span", { className: "name" }, hit.caption && hit.taken ? hit.taken : hit.name);
    if (hit.caption) name.append(": ", make("span", { lang: languageOf(hit.caption) }, hit.caption));
    // Blanks, or the words run together where they are read out.
    const button = make("button", { type: "button", className: "tile" }, image, " ", name, " ", judged(hit));
    if (hit.text && hit.text_kind !== "caption") button.append(" ", make("q", { className: "soft text" }, hit.text));
    if (hit.copies) {
      const copies = hit.copies === 1 ? t("album.copy") : t("album.copies", { n: hit.copies });
      button.append(" ", make("span", { className: "soft" }, copies));
    }
    button.addEventListener("click", () => void this.open(hit));
    void engine.photo(hit.id, THUMB, signal)
      .then((blob) => (image.src = this.url(blob)))
      .catch((error: unknown) => {
        image.classList.add("gone"); // its name stays
        const told = error instanceof Refused && !(error instanceof Busy);
        if (told) button.append(" ", make("span", { className: "error" }, t("album.gone")));
      });
    return make("li", {}, button);
  }

  private url(blob: Blob): string {
    const url = URL.createObjectURL(blob);
    this.urls.push(url);
    return url;
  }

  private async open(hit: Hit): Promise<void> {
    const image = byId("photo-shown", HTMLImageElement);
    byId("photo-name", HTMLElement).textContent = hit.name;
    put(byId("photo-path", HTMLElement), own(hit.path));
    image.removeAttribute("src");
    image.hidden = true;
    const found = this.images.get(hit.id);
    [image.alt, image.lang] = [found?.alt ?? "", found?.lang ?? ""];
    this.setOpened(null);
    this.dialog.showModal();
    const isNewest = this.opening();
    try {
      const blob = await engine.photo(hit.id, LARGE);
      if (!isNewest()) return;
      image.src = URL.createObjectURL(blob);
      image.hidden = false;
      this.setOpened({ blob, name: hit.name, url: image.src });
    } catch (error) {
      if (isNewest()) put(byId("photo-path", HTMLElement), explained(error));
    }
  }

  /** What can be done with a photo can be done once it is there. */
  private setOpened(opened: { blob: Blob; name: string; url: string } | null): void {
    if (this.opened) URL.revokeObjectURL(this.opened.url);
    this.opened = opened;
    for (const button of this.actions) button.disabled = opened === null;
  }

  private connectDialog(): void {
    const on = (id: string, act: (blob: Blob, name: string) => void): void =>
      byId(id, HTMLButtonElement).addEventListener("click", () => {
        this.dialog.close();
        if (this.opened) act(this.opened.blob, this.opened.name);
      });
    on("photo-close", () => {});
    on("photo-like", (blob, name) => void this.findLike(blob, name));
    on("photo-label", (blob, name) => void this.labels.take(blob, name));
    on("photo-ask", (blob, name) => {
      location.hash = "#picture";
      void this.pictureView.take(blob, name);
    });
  }
}

/** How well it matches; found by its text or date alone, when it was taken. */
function judged(hit: Hit): HTMLElement {
  if (hit.score !== null) {
    const score = t("album.score", { score: hit.score.toFixed(3) });
    return make("span", { className: "soft", title: score }, t(closeness(hit)));
  }
  const day = hit.taken ? dayName(hit.taken.slice(0, 10)) : "";
  return make("span", { className: "soft" }, hit.taken_by === "file" ? t("album.filed", { day }) : day);
}

const closeness = ({ match, close }: Hit): "album.close" | "album.possible" | "album.unlikely" =>
  close ? "album.close" : match ? "album.possible" : "album.unlikely";

/** What a photo probably shows; where no word fits, the day of its file tells more than nothing. */
function inWords({ words, day }: Sight): Words {
  if (!words.length) return own(day === null ? "" : t("album.day", { day: dayName(day) }));
  const known = words.map(said);
  const foreign = known.find(({ lang }) => lang !== document.documentElement.lang);
  if (foreign) return { text: `Probably: ${words.join(", ")}`, lang: foreign.lang }; // one language for all
  return own(t("album.shows", { words: listed(known.map(({ text }) => text)) }));
}
