/** Calls of the server: every one goes through `send`, which knows keys and lost servers. */

import {
  type Answer, Busy, type Found, isAbort, Lost, type Message, type PageInfo, type Query, Refused, type Seen, type Sight,
  type Sorted,
} from "../engine";
import { events } from "./events";

const KEY = "galago-key";
const SENDABLE = /^[\x21-\x7e][\x20-\x7e]*$/; // in a header, as keys are
let key = keptKey();
let askForKey: () => Promise<string> = () => Promise.reject(new Refused("no key"));
let onLost: () => void = () => {};

/** Who asks the person for a key, and who is told that the server does not answer. */
export function connect(handlers: { key: () => Promise<string>; lost: () => void }): void {
  askForKey = handlers.key;
  onLost = handlers.lost;
}

function keptKey(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // storage switched off
  }
}

async function askKey(): Promise<void> {
  do key = await askForKey();
  while (!SENDABLE.test(key));
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // It holds until the page is loaded again, then.
  }
}

function headers(): Record<string, string> {
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

function lost(error: unknown): unknown {
  if (isAbort(error)) return error;
  onLost();
  return new Lost("galago does not answer");
}

async function problem(response: Response): Promise<Refused> {
  let message = response.statusText || `HTTP ${response.status}`;
  try {
    const body = (await response.json()) as { error?: { message?: string }; detail?: unknown };
    if (body.error?.message) message = body.error.message;
    else if (typeof body.detail === "string") message = body.detail;
  } catch {
    // Not JSON: the status has to do.
  }
  if (response.status !== 429 && response.status !== 503) return new Refused(message);
  return new Busy(message, Number(response.headers.get("Retry-After")) || 1);
}

const QUIET = 6_000; // ms without a word from the server before it is asked whether it is alive
const ALIVE = 5_000; // ms that this answer may take

/**
 * A signal that follows another one and, while it is on, ends a call with Lost when nothing comes and
 * the server isn't alive: one that hangs takes connections as a living one does.
 */
class Watch {
  private readonly controller = new AbortController();
  private timer = 0;
  private last = 0;
  readonly signal = this.controller.signal;

  constructor(outer?: AbortSignal) {
    const follow = (): void => this.controller.abort(outer?.reason);
    if (outer?.aborted) follow();
    else outer?.addEventListener("abort", follow, { once: true });
  }

  on(): void {
    this.heard();
    this.timer = setInterval(() => void this.look(), 1000);
  }

  heard(): void {
    this.last = performance.now();
  }

  off(): void {
    clearInterval(this.timer);
    this.timer = 0;
  }

  private async look(): Promise<void> {
    if (performance.now() - this.last < QUIET) return;
    this.last = Infinity; // one question at a time
    const alive = await isAlive();
    if (!alive && this.timer) this.controller.abort(new Lost("galago does not answer"));
    this.heard();
  }
}

async function send(path: string, body?: unknown, signal?: AbortSignal, method = "GET"): Promise<Response> {
  const used = key;
  const watch = new Watch(signal);
  const options: RequestInit = { headers: headers(), signal: watch.signal, method };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { ...headers(), "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response: Response;
  watch.on();
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw lost(error);
  } finally {
    watch.off();
  }
  if (response.status === 401) {
    if (key === used) await askKey(); // else it was given while this call was on its way
    return send(path, body, signal, method);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

export async function json<T>(path: string, body?: unknown, signal?: AbortSignal, method?: string): Promise<T> {
  return (await (await send(path, body, signal, method)).json()) as T;
}

export const pageInfo = (): Promise<PageInfo> => json("api/page");

export const searchAlbum = (query: Query, signal: AbortSignal): Promise<Found> =>
  json("api/search", query, signal);

export const sights = async (ids: number[], signal: AbortSignal): Promise<Sight[]> =>
  (await json<{ sights: Sight[] }>("api/sights", { ids }, signal)).sights;

export const classify = (
  image: string,
  labels: string[],
): Promise<Sorted> => json("api/classify", { image, labels });

/** Keep a picture that was described, with its words, in the server's album. */
export const keepSeen = (image: Seen, caption: string): Promise<{ kept: boolean }> =>
  json("api/seen", { image, caption });

/** Forget what was kept in the last so many seconds; how many scenes. */
export const forgetSeen = async (last: number): Promise<number> =>
  (await json<{ scenes: number }>("api/forget", { last })).scenes;

/** A photo of the album as a blob: an <img> of its own could not send the key. */
export async function photo(id: number, side: number, signal?: AbortSignal): Promise<Blob> {
  const path = `api/photo/${id}?side=${side}`;
  return (await send(path, undefined, signal)).blob();
}

/** Whether the server answers at all. */
export async function isAlive(): Promise<boolean> {
  try {
    return (await fetch("health", { cache: "no-store", signal: AbortSignal.timeout(ALIVE) })).ok;
  } catch {
    return false;
  }
}

interface StreamPart {
  error?: { message?: string };
  choices?: { delta?: { content?: string | null } }[];
  galago?: { doubt?: string | null };
}

/** Ask, and get the text so far with every piece that arrives. Aborting stops the server's work. */
export async function chat(
  model: string,
  messages: Message[],
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const start = performance.now();
  const asked = { model, messages, stream: true, stream_options: { include_usage: true } };
  const watch = new Watch(signal);
  const response = await send("v1/chat/completions", asked, watch.signal);
  const answer: Answer = { text: "", firstToken: 0, doubt: null };
  watch.on();
  try {
    for await (const data of events(response)) {
      watch.heard();
      const part = JSON.parse(data) as StreamPart;
      if (part.error) throw new Refused(part.error.message ?? "the server gave up");
      answer.doubt = part.galago?.doubt ?? answer.doubt;
      const piece = part.choices?.[0]?.delta?.content;
      if (!piece) continue;
      answer.firstToken ||= (performance.now() - start) / 1000;
      answer.text += piece;
      onText(answer.text);
    }
  } catch (error) {
    throw error instanceof Refused ? error : lost(error);
  } finally {
    watch.off();
  }
  return answer;
}
