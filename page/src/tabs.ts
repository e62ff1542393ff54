import { byId } from "./dom";
import { t } from "./i18n";
import type { Texts } from "./texts/en";

/** A tab of a view: its name in the elements' ids, and the title that the view has with it. */
export interface Tab {
  name: string;
  title: keyof Texts;
  shown?: () => void;
}

/** Panels of which one is shown, as the ARIA practices describe tabs: arrows move between them. */
export class Tabs {
  constructor(
    private readonly tabs: Tab[],
    private readonly heading: HTMLElement,
  ) {
    tabs.forEach(({ name }, at) => {
      const button = this.button(name);
      button.addEventListener("click", () => this.show(name));
      button.addEventListener("keydown", (event) => {
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
        const next = to === undefined ? undefined : tabs.at(to % tabs.length);
        if (next === undefined) return;
        event.preventDefault();
        this.show(next.name);
        this.button(next.name).focus();
      });
    });
  }

  show(wanted: string): void {
    for (const { name, title, shown } of this.tabs) {
      const on = name === wanted;
      const button = this.button(name);
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      byId(`panel-${name}`, HTMLElement).hidden = !on;
      if (!on) continue;
      this.heading.dataset.t = title; // for when the language changes
      this.heading.textContent = t(title);
      shown?.();
    }
  }

  private button(name: string): HTMLButtonElement {
    return byId(`tab-${name}`, HTMLButtonElement);
  }
}
