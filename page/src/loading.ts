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

const PATIENCE = 400; // ms: what comes from this browser's own store is there sooner
const REST = 800; // ms that all must be there before the card goes: another part may begin

const rows = new Map<string, Row>();
let timer = 0;

const part = (name: string): HTMLElement => byId(`loading${name}`, HTMLElement);
const all = (): Loading[] => [...rows.values()].map(({ state }) => state);
const pending = (): boolean => all().some(({ done, total }) => done < total);

/** Show a state; its line goes when all that was begun is there. */
export function showLoading(state: Loading): void {
  const row = rows.get(state.name) ?? add(state);
  row.state = state;
  write(row);
  part("-kept").hidden = all().every(({ kept }) => kept);
  if (part("-title").hidden && pending()) timer ||= setTimeout(appear, PATIENCE);
  else if (!part("-title").hidden && !pending()) timer ||= setTimeout(leave, REST);
}

/** That the graphics processor failed. */
export function showFall(): void {
  part("-fell").hidden = part("").hidden = false;
  announce(t("loading.fell"));
}

function appear(): void {
  timer = 0;
  if (!pending()) return rows.forEach(remove);
  part("-title").hidden = part("-list").hidden = part("").hidden = false;
  announce(t("loading.title"));
}

function leave(): void {
  timer = 0;
  if (pending()) return;
  const whole = all().every(({ total }) => total > 0); // nothing was called off
  part("-title").hidden = part("-list").hidden = true;
  // That it could not be kept, or by what it is computed, stays to be read.
  part("").hidden = part("-kept").hidden && part("-fell").hidden;
  rows.forEach(remove);
  if (whole) announce(t("loading.done"));
}

function remove({ state, item }: Row): void {
  item.remove();
  rows.delete(state.name);
}

function add(state: Loading): Row {
  const bar = make("progress", { ariaLabel: state.name });
  const words = make("span", { className: "soft small-text" });
  const item = make("li", {}, make("span", {}, state.name), bar, words);
  const row = { state, item, bar, words };
  rows.set(state.name, row);
  part("-list").append(item);
  return row;
}

function write({ state, bar, words }: Row): void {
  bar.max = Math.max(1, state.total);
  bar.value = state.done;
  words.textContent = t("loading.bytes", { done: bytes(state.done), total: bytes(state.total) });
}

onLanguage(() => rows.forEach(write));
