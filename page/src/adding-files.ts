import { type Files, type Given, type IndexState } from "./engine";
import { byId, put } from "./dom";
import { onLanguage, own, t, type Words } from "./i18n";
import { IndexRun } from "./index-run";
import { explained } from "./offered";
import { bytes, count } from "./sizes";
import { announce } from "./voice";

/** Photos and folders that the person hands to this browser; it indexes them while the page is open. */
export class AddFiles {
  private readonly error = byId("files-error", HTMLElement);
  private readonly buttons = ["files-open", "files-again", "files-forget"].map((id) => byId(id, HTMLButtonElement));
  private readonly inputs = ["files-photos", "files-folder"].map((id) => byId(id, HTMLInputElement));
  private readonly run: IndexRun;

  /** `changed` is called when the album may be another; `running` says how far a run is. */
  constructor(
    private readonly files: Files,
    private readonly changed: () => void,
    running: (share: number | null) => void,
  ) {
    byId("files", HTMLElement).hidden = false;
    byId("files-open", HTMLElement).hidden = !files.canOpen;
    byId("files-folder-choose", HTMLElement).hidden = files.canOpen;
    this.run = new IndexRun((state) => this.show(state), changed, running);
    for (const input of this.inputs) {
      input.addEventListener("change", () => {
        const given = [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
        input.value = "";
        if (given.length) void this.start(() => files.add(given));
      });
    }
    byId("files-open", HTMLElement).addEventListener("click", () => void this.start(() => files.open()));
    byId("files-again", HTMLElement).addEventListener("click", () => void this.start(() => files.again()));
    this.acceptDrops(byId("files", HTMLElement));
    this.connectForgetting();
    onLanguage(() => void this.tellKept());
  }

  /** Look how far a run is. */
  follow(): Promise<void> {
    return this.run.follow();
  }

  focus(): void {
    byId("files-photos", HTMLElement).focus();
  }

  private async start(begin: () => Promise<IndexState | null>): Promise<void> {
    this.tell(null);
    this.tell(await this.run.start(begin));
  }

  private tell(words: Words | null): void {
    this.error.hidden = words === null;
    put(this.error, words ?? own(""));
  }

  private show(state: IndexState): void {
    for (const one of [...this.buttons, ...this.inputs]) one.disabled = state.running;
    byId("files-again", HTMLElement).hidden = !this.files.canOpen || state.album.length === 0;
    if (!state.running) void this.tellKept();
  }

  /** What this browser keeps, and that it can be taken out. */
  private async tellKept(): Promise<void> {
    const kept = await this.files.kept().catch(() => null);
    byId("files-kept", HTMLElement).hidden = kept === null || kept.photos === 0;
    if (kept === null) return;
    const words = { n: count(kept.photos), size: bytes(kept.bytes), most: bytes(kept.previews) };
    byId("files-kept-line", HTMLElement).textContent = t("files.kept", words);
  }

  private acceptDrops(card: HTMLElement): void {
    const over = (on: boolean) => (event: DragEvent): void => {
      event.preventDefault();
      card.dataset.over = String(on);
    };
    card.addEventListener("dragover", over(true));
    card.addEventListener("dragleave", over(false));
    card.addEventListener("drop", (event) => {
      over(false)(event);
      // Taken at once: what was dropped is gone after this event.
      const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
      void this.start(async () => {
        const given: Given[] = [];
        for (const entry of entries) if (entry) await walk(entry, given);
        return given.length ? this.files.add(given) : null;
      });
    });
  }

  private connectForgetting(): void {
    const dialog = byId("forget", HTMLDialogElement);
    byId("files-forget", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "forget") return;
      dialog.returnValue = "";
      void this.forget();
    });
  }

  private async forget(): Promise<void> {
    try {
      await this.files.forget();
      announce(t("files.forgotten"));
    } catch (error) {
      this.tell(explained(error));
    }
    await this.run.follow();
    this.changed();
    this.focus();
  }
}

/** The files of what was dropped: of a folder, all that lie in it. */
async function walk(entry: FileSystemEntry, given: Given[]): Promise<void> {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
    given.push({ file, path });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A hundred at a time, until none are left.
    const part = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (!part.length) return;
    for (const one of part) await walk(one, given);
  }
}
