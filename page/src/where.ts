import { engine } from "#engine";
import { byId, make } from "./dom";
import { onLanguage, t } from "./i18n";

/** Which photos are looked at, as the form says it; only what was filled in. */
export interface Where {
  folder?: string;
  since?: string; // a day
  until?: string;
  text_only?: boolean;
}

/** The fields for folder, dates and text of the search form. */
export class WhereFields {
  private readonly folder = byId("find-folder", HTMLSelectElement);
  private readonly since = byId("find-since", HTMLInputElement);
  private readonly until = byId("find-until", HTMLInputElement);
  private readonly text = byId("find-text-only", HTMLInputElement);
  private folders: string[] = [];

  constructor() {
    byId("find-text-field", HTMLElement).hidden = engine.here; // it reads no text in photos
    onLanguage(() => this.offer(this.folders));
  }

  /** The folders that can be chosen; the one that is stays, if it is among them. */
  offer(folders: string[]): void {
    this.folders = folders;
    const chosen = this.folder.value;
    const any = make("option", { value: "" }, t("album.anywhere"));
    const start = common(folders);
    const names = folders.map((path) => make("option", { value: path }, path.slice(start) || path));
    this.folder.replaceChildren(any, ...names);
    this.folder.value = folders.includes(chosen) ? chosen : "";
  }

  value(): Where {
    return {
      ...(this.folder.value && { folder: this.folder.value }),
      ...(this.since.value && { since: this.since.value }),
      ...(this.until.value && { until: this.until.value }),
      ...(this.text.checked && { text_only: true }),
    };
  }
}

/** How many letters all folders begin with, up to a separator: what needn't be read again and again. */
export function common(folders: string[]): number {
  const [first = "", ...others] = folders;
  if (!others.length) return 0;
  let end = 0;
  for (let at = 0; at < first.length && others.every((path) => path[at] === first[at]); at++) {
    if (first[at] === "/" || first[at] === "\\") end = at + 1;
  }
  return end;
}
