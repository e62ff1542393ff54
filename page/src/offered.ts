import { engine } from "#engine";
import { Busy, Lost, type PageInfo, type Preset } from "./engine";
import { byId, sleep } from "./dom";
import { showFall, showLoading } from "./loading";
import { isKey, listed, onLanguage, own, said, t, type Words } from "./i18n";
import { announce } from "./voice";

const CHECK_EVERY = 1500; // ms
const ready = Promise.withResolvers<PageInfo>();
let info: PageInfo | null = null;
let returning: Promise<void> | null = null;

/** What the server offers; waits for a server that is not there yet. */
export const server = (): Promise<PageInfo> => ready.promise;

const listeners: ((info: PageInfo) => void)[] = [];

/** Call this with what the server offers: once it is known, and when it comes back, perhaps as another. */
export function onServer(listener: (info: PageInfo) => void): void {
  listeners.push(listener);
  if (info !== null) listener(info);
}

function showBanner(text: string | null): void {
  const banner = byId("banner", HTMLElement);
  banner.textContent = text ?? "";
  banner.hidden = text === null;
}

/** Resolves when a lost server answers again; at once when none is lost. */
export const serverBack = (): Promise<void> => returning ?? Promise.resolve();

function noteLost(): void {
  returning ??= (async () => {
    showBanner(t("server.lost"));
    while (!(await engine.isAlive())) await sleep(CHECK_EVERY);
    if (info !== null) await engine.pageInfo().then(take).catch(() => {}); // it may have another model now
    returning = null;
    showBanner(null);
    announce(t("server.back"));
  })();
}

/** Asks for the API key; calls that fail together share one question. */
let asking: Promise<string> | null = null;
function keyFromPerson(): Promise<string> {
  const dialog = byId("key", HTMLDialogElement);
  const input = byId("key-text", HTMLInputElement);
  asking ??= new Promise((done) => {
    input.value = "";
    dialog.showModal();
    dialog.addEventListener(
      "close",
      () => {
        asking = null;
        done(input.value.trim());
      },
      { once: true },
    );
  });
  return asking;
}

/** First contact. Goes on trying until somebody answers. */
export async function start(): Promise<void> {
  engine.connect({ key: keyFromPerson, lost: noteLost, loading: showLoading, fell: showFall });
  byId("key", HTMLDialogElement).addEventListener("cancel", (event) => event.preventDefault());
  while (info === null) {
    try {
      info = await engine.pageInfo();
    } catch (error) {
      if (returning === null) showBanner(error instanceof Error ? error.message : String(error));
      await Promise.all([serverBack(), sleep(CHECK_EVERY)]);
    }
  }
  if (returning === null) showBanner(null);
  ready.resolve(info);
  take(info);
  onLanguage(showModelNote);
}

function take(found: PageInfo): void {
  info = found;
  byId("version", HTMLElement).textContent = `galago ${info.version}`;
  showModelNote();
  for (const listener of listeners) listener(info);
}

/** Ask again what there is: another model was chosen. */
export const offerAgain = async (): Promise<void> => take(await engine.pageInfo());

/** What went wrong, for people: the page's own words, or the server's. */
export function explained(error: unknown): Words {
  if (error instanceof Busy) return own(t("server.busy"));
  if (error instanceof Lost) return own(t("server.lost"));
  return said(error instanceof Error ? error.message : String(error));
}

/** The model that answers questions. */
export const currentModel = (): string => info?.default ?? "";

/** The model for live pictures: a quicker one where there is one. */
export const liveModel = (): string => info?.live ?? currentModel();

/** Whether live pictures are for another model than that by now; the server is asked. */
export async function liveModelChanged(from: string): Promise<boolean> {
  if (from === currentModel()) return false;
  take(await engine.pageInfo());
  return liveModel() !== from;
}

/** A line under the questions, about models that should not be trusted much. */
function showModelNote(): void {
  for (const note of document.querySelectorAll(".model-note")) note.textContent = modelNote();
  if (info?.live == null) return;
  const names = { live: info.live, model: currentModel() };
  byId("live-note", HTMLElement).textContent = [t("live.model", names), t("model.language")].filter(Boolean).join(" ");
}

function modelNote(): string {
  const model = info?.models.find((each) => each.id === currentModel());
  const lines = [model?.id ?? ""];
  if (model?.demo) {
    const key = model.knows ? "model.demo" : "model.demo.short";
    lines[0] = t(key, { model: model.id, knows: said(model.knows).text });
  }
  const impossible = (info?.presets ?? []).filter((preset) => !preset.possible);
  if (impossible.length) {
    lines.push(t("model.cannot", { names: listed(impossible.map(({ id }) => presetName(id))) }));
  }
  lines.push(t("model.language"));
  return lines.filter(Boolean).join(" ");
}

/** The ready questions that the model can be asked. */
export const possible = (presets: Preset[]): Preset[] => presets.filter((preset) => preset.possible);

/** The name of a ready question in the language of the page. */
export function presetName(id: string): string {
  const key = `preset.${id}`;
  return isKey(key) ? t(key) : id;
}
