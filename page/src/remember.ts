import { engine } from "#engine";
import { Busy, type Seen } from "./engine";
import { byId, put, sleep } from "./dom";
import { onLanguage, own, t, timeSpan } from "./i18n";
import { explained, onServer } from "./offered";

const PAUSE = 1_100; // ms between scenes: the server takes one a second
const HOUR = 3_600; // s

interface Scene {
  frame: Seen;
  caption: string;
}

/** What the camera sees, kept in the server's album: off at each load, until a person turns it on. */
export class Remember {
  private readonly wanted = byId("remember", HTMLInputElement);
  private readonly button = byId("forget-hour", HTMLButtonElement);
  private readonly told = byId("remember-told", HTMLElement);
  private allowed = false;
  private seconds: number | null = null; // that scenes stay
  private next: Scene | null = null; // the newest that waits
  private busy = false;
  private count = 0;

  constructor() {
    this.wanted.checked = false; // browsers fill in what was chosen before a reload
    this.wanted.addEventListener("change", () => this.turned());
    this.button.addEventListener("click", () => void this.forgetHour());
    onServer(({ remember }) => {
      this.allowed = !!remember; // an older server says nothing of it
      this.seconds = remember?.keep_seconds ?? null;
      byId("remember-card", HTMLElement).hidden = !this.allowed;
      this.show();
    });
    onLanguage(() => this.show());
  }

  /** A picture and what was said of it; nothing happens while the switch is off. */
  keep(frame: Seen, caption: string): void {
    if (!this.isOn()) return;
    this.next = { frame, caption };
    void this.work();
  }

  private isOn = (): boolean => this.allowed && this.wanted.checked;

  private turned(): void {
    this.next = null;
    this.told.textContent = "";
    this.show();
  }

  private async work(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    while (this.next !== null && this.isOn()) {
      const scene = this.next;
      this.next = null;
      try {
        await engine.keepSeen(scene.frame, scene.caption);
        this.count++;
        this.told.textContent = "";
        this.show();
      } catch (error) {
        if (error instanceof Busy) this.next ??= scene;
        else put(this.told, this.notKept(error));
      }
      await sleep(PAUSE);
    }
    this.busy = false;
  }

  private notKept(error: unknown): { text: string; lang: string } {
    const reason = explained(error);
    return { ...reason, text: t("remember.failed", { reason: reason.text }) };
  }

  private async forgetHour(): Promise<void> {
    this.next = null;
    this.button.disabled = true;
    this.told.textContent = "";
    try {
      const n = await engine.forgetSeen(HOUR);
      this.count = 0;
      const key = n === 0 ? "remember.none" : n === 1 ? "remember.forgotten.one" : "remember.forgotten";
      put(this.told, own(t(key, { n })));
    } catch (error) {
      put(this.told, explained(error));
    }
    this.button.disabled = false;
    this.button.focus(); // a disabled button loses it
    this.show();
  }

  private show(): void {
    byId("remembering", HTMLElement).hidden = !this.isOn();
    const how = this.seconds === null ? t("remember.always") : t("remember.for", { time: timeSpan(this.seconds) });
    byId("remember-help", HTMLElement).textContent = `${t("remember.help")} ${how}`;
    byId("remember-count", HTMLElement).textContent = this.count ? t("remember.kept", { n: this.count }) : "";
  }
}
