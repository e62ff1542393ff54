import { type Folder, type FolderList, type Folders } from "./engine";
import { byId, make, overlapping, put } from "./dom";
import { own, t } from "./i18n";
import { explained } from "./offered";
import { count } from "./sizes";

/** Goes through the folders of the computer that the server runs on, one level at a time. */
export class Chooser {
  private readonly list = byId("choose-list", HTMLElement);
  private readonly begin = overlapping();
  private shown: FolderList | null = null;

  /** `taken` is called with the folder that is looked into. */
  constructor(
    private readonly folders: Folders,
    private readonly taken: (path: string) => void,
  ) {
    const box = byId("choose", HTMLDetailsElement);
    box.addEventListener("toggle", () => {
      if (box.open && this.shown === null) void this.look(null);
    });
  }

  /** In the language of the page. */
  retell(): void {
    if (this.shown !== null) this.show(this.shown);
  }

  private async look(path: string | null): Promise<void> {
    const isNewest = this.begin();
    const said = byId("choose-said", HTMLElement);
    try {
      const found = await this.folders.foldersIn(path);
      if (!isNewest()) return;
      this.show(found);
      if (path === null) return;
      this.taken(found.path);
      byId("choose-at", HTMLElement).focus(); // what was pressed has gone
    } catch (error) {
      if (isNewest()) put(said, explained(error));
    }
  }

  private show(found: FolderList): void {
    this.shown = found;
    byId("choose-at", HTMLElement).textContent = found.path.toWellFormed();
    const said = [t("choose.pictures", { n: count(found.pictures) })];
    if (found.more) said.push(t("choose.more"));
    if (!found.folders.length) said.push(t("choose.none"));
    put(byId("choose-said", HTMLElement), own(said.join(" ")));
    const others = found.places.filter(({ path }) => path !== found.path);
    const places = others.map((place) => this.button(place, place.path.toWellFormed(), "small"));
    byId("choose-places", HTMLElement).replaceChildren(...places);
    const up = found.up === null ? [] : [this.button({ name: "..", path: found.up }, t("choose.up"), "folder up")];
    const inside = found.folders.map((folder) => this.button(folder, folder.name, "folder"));
    this.list.replaceChildren(...[...up, ...inside].map((button) => make("li", {}, button)));
  }

  private button({ path }: Folder, name: string, className: string): HTMLElement {
    const button = make("button", { type: "button", className }, name);
    button.addEventListener("click", () => void this.look(path));
    return button;
  }
}
