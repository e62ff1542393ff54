import { engine } from "#engine";
import { type IndexState } from "./engine";
import { byId, make, overlapping, put, sleep } from "./dom";
import { onLanguage, own, said, t, type Words } from "./i18n";
import { explained, server, serverBack } from "./offered";
import { count, timeLeft } from "./sizes";
import { announce } from "./voice";

const EVERY = 1000; // ms between looks at a run that is under way
const TOLD = 0.25; // of a run between two remarks for screen readers

/** The run that brings photos into the album, wherever it goes on: watched and stopped here. */
export class IndexRun {
  private readonly following = overlapping();
  private state: IndexState | null = null;
  private told = 0; // the share that screen readers heard of

  /**
   * `shown` is called with each state; `changed` when the album may have grown; `running` says how far
   * a run is.
   */
  constructor(
    private readonly shown: (state: IndexState) => void,
    private readonly changed: () => void,
    private readonly running: (share: number | null) => void,
  ) {
    byId("run-note", HTMLElement).dataset.t = engine.here ? "run.note.here" : "run.note";
    byId("add-stop", HTMLButtonElement).addEventListener("click", () => void this.stop());
    onLanguage(() => {
      if (this.state !== null) this.show(this.state);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.follow(); // another tab may have begun
    });
    void server().then(() => this.follow());
  }

  /** Look how far a run is, and again until it has ended. */
  async follow(): Promise<void> {
    const isNewest = this.following();
    for (;;) {
      try {
        const state = await engine.indexState();
        if (!isNewest()) return;
        this.show(state);
        if (!state.running) return;
      } catch {
        await serverBack(); // the banner tells of a lost one
        if (!isNewest()) return;
      }
      await sleep(EVERY);
      if (!isNewest()) return;
    }
  }

  /** Begin one, and follow it; why that didn't work. `begin` gives null when the person chose nothing. */
  async start(begin: () => Promise<IndexState | null>): Promise<Words | null> {
    let problem: Words | null = null;
    try {
      if ((await begin()) !== null) {
        this.told = 0;
        announce(t("add.begun"));
        void this.follow();
        byId("run", HTMLElement).focus({ preventScroll: false });
      }
    } catch (error) {
      problem = explained(error);
    }
    void this.follow();
    return problem;
  }

  private async stop(): Promise<void> {
    byId("add-stop", HTMLButtonElement).disabled = true;
    try {
      await engine.stopIndex();
    } catch (error) {
      put(byId("run-line", HTMLElement), explained(error));
    }
    await this.follow();
  }

  private show(state: IndexState): void {
    const before = this.state;
    this.state = state;
    byId("add-refused", HTMLElement).hidden = state.refusal === null;
    byId("add-there", HTMLElement).hidden = state.refusal !== null;
    if (state.refusal !== null) return put(byId("add-refused", HTMLElement), said(state.refusal));
    const album = state.album.map((folder) => make("li", {}, folder));
    byId("add-album", HTMLElement).hidden = album.length === 0;
    byId("add-folders", HTMLElement).replaceChildren(...album);
    this.showRun(state);
    this.shown(state);
    this.running(state.running ? shareOf(state) : null);
    const ended = before !== null && before.running && !state.running;
    if (ended) announce(byId("run-line", HTMLElement).textContent ?? "");
    if (ended || (state.running && grew(before, state))) this.changed();
  }

  private showRun(state: IndexState): void {
    const run = byId("run", HTMLElement);
    run.hidden = state.number === 0;
    if (state.number === 0) return;
    const all = engine.here ? "run.all.here" : "run.all";
    const title = state.folders.length ? t("run.title", { folder: state.folders.join(", ") }) : t(all);
    byId("run-title", HTMLElement).textContent = title;
    const bar = byId("run-bar", HTMLProgressElement);
    bar.hidden = !state.running;
    if (state.running && state.total) {
      bar.max = state.total;
      bar.value = state.done;
    } else bar.removeAttribute("value");
    const stop = byId("add-stop", HTMLButtonElement);
    stop.hidden = !state.running;
    if (!state.running) stop.disabled = false;
    byId("run-note", HTMLElement).hidden = !state.running;
    put(byId("run-line", HTMLElement), inWords(state));
    byId("run-line", HTMLElement).classList.toggle("error", state.problem !== null);
    this.showUnread(state);
    this.tellShare(state);
  }

  private showUnread({ bad, unread }: IndexState): void {
    const box = byId("run-bad", HTMLDetailsElement);
    box.hidden = bad === 0;
    const summary = box.querySelector("summary");
    if (summary) summary.textContent = bad === 1 ? t("run.bad.one") : t("run.bad", { n: count(bad) });
    const items = unread.map(({ path, reason }) => {
      const why = make("span", { className: "soft" });
      put(why, said(reason));
      return make("li", {}, path, ": ", why);
    });
    if (unread.length < bad) items.push(make("li", { className: "soft" }, t(engine.here ? "run.bad.more.here" : "run.bad.more", { n: bad - unread.length })));
    byId("run-unread", HTMLElement).replaceChildren(...items);
  }

  /** Not every percent: who listens would hear of nothing else. */
  private tellShare(state: IndexState): void {
    const share = shareOf(state);
    if (!state.running || share < this.told + TOLD) return;
    this.told = Math.floor(share / TOLD) * TOLD;
    announce(t("run.share", { share: Math.round(100 * share) }));
  }
}

const shareOf = ({ done, total }: IndexState): number => (total ? done / total : 0);

/** Whether there is more to find than a moment ago, from the first photos on. */
const grew = (before: IndexState | null, { done }: IndexState): boolean => done > 0 && !(before?.done ?? 0);

/** How far a run is, or what it came to. */
function inWords(state: IndexState): Words {
  const { result, problem, done, total } = state;
  if (state.running) {
    if (state.waiting) return said(state.stage ?? "");
    if (!total) return state.stage === null ? own(t("run.opening")) : lookedInto(state);
    const parts = [t("run.done", { done: count(done), total: count(total) })];
    if (state.rate !== null) parts.push(t("run.rate", { rate: count(Number(state.rate.toPrecision(2))) }));
    if (state.left !== null) parts.push(timeLeft(state.left));
    return own(parts.join(" · "));
  }
  if (problem !== null) return said(problem);
  if (state.stopped) return own(total ? t(engine.here ? "run.stopped.here" : "run.stopped", { done: count(done), total: count(total) }) : t("run.stopped.early"));
  if (result === null) return own("");
  const parts = [
    t("run.photos", { n: count(result.photos) }),
    t("run.new", { n: count(result.new) }),
    ...(result.known ? [t("run.known", { n: count(result.known) })] : []),
    ...(result.unchanged ? [t("run.unchanged", { n: count(result.unchanged) })] : []),
    ...(result.gone ? [t("run.gone", { n: count(result.gone) })] : []),
    ...(result.bad ? [t("run.unreadable", { n: count(result.bad) })] : []),
  ];
  return own(parts.join(" · "));
}

function lookedInto({ stage, done }: IndexState): Words {
  const words = said(stage ?? "");
  return done ? { ...words, text: `${words.text}: ${count(done)}` } : words;
}
