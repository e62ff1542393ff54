import { byId, make } from "./dom";
import { languageOf, t } from "./i18n";
import { settings } from "./settings";

const REST = 2500; // ms between two captions for a screen reader
const region = (): HTMLElement => byId("said", HTMLElement);
let waiting: { text: string; unsure: boolean } | null = null;
let resting = false;

/** Tell screen readers at once: what a person's own action led to. */
export function announce(text: string, lang: string = document.documentElement.lang): void {
  const element = region();
  element.lang = lang;
  element.textContent = "";
  setTimeout(() => (element.textContent = text), 50); // the same words again are said again
}

/** Tell what a model said, in its language: newest only, with a rest between. */
export function announceCaption(text: string, unsure = false): void {
  waiting = { text, unsure };
  if (!resting) announceWaiting();
}

function announceWaiting(): void {
  if (waiting === null) return;
  const { text, unsure } = waiting;
  waiting = null;
  resting = true;
  const words = make("span", { lang: languageOf(text) }, text);
  region().lang = document.documentElement.lang;
  region().replaceChildren(words, unsure ? ` – ${t("unsure.short")}` : "");
  setTimeout(() => {
    resting = false;
    announceWaiting();
  }, REST);
}

const synthesis = "speechSynthesis" in window ? window.speechSynthesis : null;
let next: string[] | null = null;

/** The voices of this browser; the list may come late, so `onVoices` tells when. */
export const voices = (): SpeechSynthesisVoice[] => synthesis?.getVoices() ?? [];

export function onVoices(listener: () => void): void {
  listener();
  synthesis?.addEventListener("voiceschanged", listener);
}

/** Read texts aloud, one after the other. Of what comes meanwhile only the newest is kept. */
export function speak(...texts: string[]): void {
  if (!synthesis) return;
  if (synthesis.speaking || synthesis.pending) {
    next = texts;
    return;
  }
  const utterances = texts.map(inVoice);
  const last = utterances.at(-1);
  const done = (): void => {
    const waitingTexts = next;
    next = null;
    if (waitingTexts !== null) speak(...waitingTexts);
  };
  last?.addEventListener("end", done);
  last?.addEventListener("error", done);
  for (const utterance of utterances) synthesis.speak(utterance);
}

/** In the chosen voice, else in one of the text's language. */
function inVoice(text: string): SpeechSynthesisUtterance {
  const utterance = new SpeechSynthesisUtterance(text);
  const language = languageOf(text);
  const chosen = voices().find((voice) => voice.voiceURI === settings.voice);
  const fitting = voices().find((voice) => voice.lang.startsWith(language));
  utterance.voice = chosen ?? fitting ?? null;
  utterance.lang = utterance.voice?.lang ?? language;
  utterance.rate = settings.rate;
  return utterance;
}

export function silence(): void {
  next = null;
  synthesis?.cancel();
}
