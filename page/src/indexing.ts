import { type Folders, type IndexState } from "./engine";
import { Chooser } from "./chooser";
import { byId, put } from "./dom";
import { onLanguage, own, t, type Words } from "./i18n";
import { IndexRun } from "./index-run";

/** A folder of the server's computer is indexed: begun here; it goes on without the page. */
export class AddPhotos {
  private readonly path = byId("add-path", HTMLInputElement);
  private readonly error = byId("add-error", HTMLElement);
  private readonly chooser: Chooser;
  private readonly run: IndexRun;
  private exact = ""; // the path that was chosen: what the field shows may lack its half characters

  /** `changed` is called when the album may have grown; `running` says how far a run is. */
  constructor(
    private readonly folders: Folders,
    changed: () => void,
    running: (share: number | null) => void,
  ) {
    byId("add", HTMLFormElement).hidden = false;
    this.run = new IndexRun((state) => this.show(state), changed, running);
    this.chooser = new Chooser(folders, (path) => this.take(path));
    byId("add", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = this.path.value.trim();
      if (!typed) {
        this.tell(own(t("add.first")));
        return this.path.focus();
      }
      void this.start(typed === this.exact.toWellFormed() ? this.exact : typed);
    });
    byId("add-again", HTMLButtonElement).addEventListener("click", () => void this.start(null));
    onLanguage(() => this.chooser.retell());
  }

  /** Look how far a run is. */
  follow(): Promise<void> {
    return this.run.follow();
  }

  focus(): void {
    this.path.focus();
  }

  private take(path: string): void {
    this.exact = path;
    this.path.value = path.toWellFormed();
  }

  private async start(folder: string | null): Promise<void> {
    this.tell(null);
    this.tell(await this.run.start(() => this.folders.startIndex(folder)));
  }

  private tell(words: Words | null): void {
    this.error.hidden = words === null;
    put(this.error, words ?? own(""));
  }

  private show(state: IndexState): void {
    byId("add-go", HTMLButtonElement).disabled = state.running;
    const again = byId("add-again", HTMLButtonElement);
    again.hidden = state.album.length === 0;
    again.disabled = state.running;
  }
}
