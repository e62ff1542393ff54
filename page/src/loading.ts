/** How far is what must be fetched before a model can work: a card with bytes, a line each. */

import { byId, make } from "./dom";
import type { Loading } from "./engine";
import { onLanguage, t } from "./i18n";
import { bytes } from "./sizes";
import { announce } from "./voice";

interface Row {
  state: Loading;
  item: HTMLLIElement;
  bar: HTMLProgressElement;
  words: HTMLElement;
}

const rows = new Map<string, Row>();

/** Show a state; the card goes when all that was begun is there. */
export function showLoading(state: Loading): void {
  const row = rows.get(state.name) ?? add(state);
  row.state = state;
  write(row);
  const card = byId("loading", HTMLElement);
  const all = [...rows.values()];
  if (card.hidden) announce(t("loading.title"));
  card.hidden = false;
  byId("loading-kept", HTMLElement).hidden = all.every(({ state }) => state.kept);
  if (all.some(({ state }) => state.done < state.total)) return;
  // What could not be kept stays to be read; it is the last thing said of a load.
  card.hidden = all.every(({ state }) => state.kept);
  byId("loading-title", HTMLElement).hidden = byId("loading-list", HTMLElement).hidden = true;
  for (const { item } of all) item.remove();
  rows.clear();
  announce(t("loading.done"));
}

function add(state: Loading): Row {
  const bar = make("progress", { ariaLabel: state.name });
  const words = make("span", { className: "soft small-text" });
  const item = make("li", {}, make("span", {}, state.name), bar, words);
  const row = { state, item, bar, words };
  rows.set(state.name, row);
  byId("loading-title", HTMLElement).hidden = byId("loading-list", HTMLElement).hidden = false;
  byId("loading-list", HTMLElement).append(item);
  return row;
}

function write({ state, bar, words }: Row): void {
  bar.max = Math.max(1, state.total);
  bar.value = state.done;
  words.textContent = t("loading.bytes", { done: bytes(state.done), total: bytes(state.total) });
}

onLanguage(() => rows.forEach(write));
