import { type Found, type Hit, isAbort, type PageInfo, pageInfo, photo, searchAlbum } from "./api";
import { byId, make, overlapping } from "./dom";
import { NotAPicture, type Picture, pictureIn, readPicture } from "./image-file";
import { onLanguage, t } from "./i18n";
import { type Labels } from "./labels";
import { type PictureView } from "./picture";
import { explained, server } from "./server";

const SHOWN = 24; // photos
const THUMB = 320; // pixels
const LARGE = 1024; // pixels

/** Search in the album, and what can be done with a photo that was found. */
export class Album {
  private readonly said = byId("found", HTMLElement);
  private readonly dialog = byId("photo", HTMLDialogElement);
  private like: Picture | null = null;
  private searching: AbortController | null = null;
  private album: PageInfo["album"] = null;
  private problem: string | null = null; // why there is an album that can't be searched
  private urls: string[] = [];
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
    byId("like-drop", HTMLButtonElement).addEventListener("click", () => this.setLike(null));
    this.acceptDrops();
    this.connectDialog();
    void server().then((info) => {
      this.take(info);
      onLanguage(() => this.introduce());
    });
  }

  /** Look again: an album may have been made or grown since. */
  async refresh(): Promise<void> {
    await server();
    this.take(await pageInfo());
    this.introduce();
  }

  private take({ album, album_problem }: PageInfo): void {
    this.album = album;
    this.problem = album_problem;
  }

  private introduce(): void {
    byId("album-none", HTMLElement).hidden = this.album !== null;
    byId("album-there", HTMLElement).hidden = this.album === null;
    const why = this.problem === null ? t("album.none") : t("album.broken", { reason: this.problem });
    if (this.album === null) byId("album-none", HTMLElement).textContent = why;
    else if (!this.searching) this.said.textContent = t("album.about", this.album);
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
    if (!text && !image) {
      this.said.textContent = t("album.first");
      return byId("find-text", HTMLInputElement).focus();
    }
    this.searching?.abort();
    const searching = (this.searching = new AbortController());
    this.said.textContent = t("album.searching");
    const query = {
      ...(text && { text }),
      ...(image && { image }),
      ...(minus && { minus }),
      k: SHOWN,
    };
    try {
      this.show(await searchAlbum(query, searching.signal), searching.signal);
    } catch (error) {
      if (isAbort(error)) return;
      this.said.textContent = explained(error);
    }
  }

  private show(found: Found, signal: AbortSignal): void {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    const matches = found.hits.filter((hit) => hit.match);
    const others = found.hits.filter((hit) => !hit.match);
    const count = matches.length;
    const words = count === 1 ? t("album.match") : t("album.matches", { n: count });
    this.said.textContent = count ? words : t("album.nothing");
    byId("hits", HTMLElement).replaceChildren(...matches.map((hit) => this.tile(hit, signal)));
    const rest = byId("rest", HTMLDetailsElement);
    rest.hidden = others.length === 0;
    rest.open = false;
    const summary = rest.querySelector("summary");
    if (summary) summary.textContent = t("album.rest", { n: others.length });
    byId("rest-hits", HTMLElement).replaceChildren(...others.map((hit) => this.tile(hit, signal)));
  }

  private tile(hit: Hit, signal: AbortSignal): HTMLElement {
    const image = make("img", { alt: "", width: THUMB, height: THUMB });
    const score = make("span", { className: "soft" }, t("album.score", { score: hit.score.toFixed(3) }));
    const button = make("button", { type: "button", className: "tile" }, image, make("span", {}, hit.name), score);
    button.addEventListener("click", () => void this.open(hit));
    void photo(hit.id, THUMB, signal)
      .then((blob) => (image.src = this.url(blob)))
      .catch(() => image.classList.add("gone")); // its name and score stay
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
    byId("photo-path", HTMLElement).textContent = hit.path;
    image.removeAttribute("src");
    this.setOpened(null);
    this.dialog.showModal();
    const isNewest = this.opening();
    try {
      const blob = await photo(hit.id, LARGE);
      if (!isNewest()) return;
      image.src = URL.createObjectURL(blob);
      this.setOpened({ blob, name: hit.name, url: image.src });
    } catch (error) {
      if (isNewest()) byId("photo-path", HTMLElement).textContent = explained(error);
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
