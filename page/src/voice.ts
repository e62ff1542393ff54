import { byId } from "./dom";
import { languageOf } from "./i18n";
import { settings } from "./settings";

const REST = 2500; // ms between two captions for a screen reader
const region = (): HTMLElement => byId("said", HTMLElement);
let waiting: string | null = null;
let resting = false;

/** Tell screen readers at once: what a person's own action led to. */
export function announce(text: string): void {
  const element = region();
  element.lang = languageOf(text) === "en" ? document.documentElement.lang : languageOf(text);
  element.textContent = "";
  setTimeout(() => (element.textContent = text), 50); // the same words again are said again
}

/** Tell what a model said, in its language: newest only, with a rest between. */
export function announceCaption(text: string): void {
  waiting = text;
  if (resting) return;
  resting = true;
  region().lang = languageOf(text);
  region().textContent = waiting;
  waiting = null;
  setTimeout(() => {
    resting = false;
    if (waiting !== null) announceCaption(waiting);
  }, REST);
}

const synthesis = "speechSynthesis" in window ? window.speechSynthesis : null;
let next: string | null = null;

/** The voices of this browser; the list may come late, so `onVoices` tells when. */
export const voices = (): SpeechSynthesisVoice[] => synthesis?.getVoices() ?? [];

export function onVoices(listener: () => void): void {
  listener();
  synthesis?.addEventListener("voiceschanged", listener);
}

/** Read aloud. While a text is being read, only the newest of those that follow is kept. */
export function speak(text: string): void {
  if (!synthesis) return;
  if (synthesis.speaking) {
    next = text;
    return;
  }
  const utterance = new SpeechSynthesisUtterance(text);
  const language = languageOf(text);
  const chosen = voices().find((voice) => voice.voiceURI === settings.voice);
  const fitting = voices().find((voice) => voice.lang.startsWith(language));
  utterance.voice = chosen ?? fitting ?? null;
  utterance.lang = utterance.voice?.lang ?? language;
  utterance.rate = settings.rate;
  const done = (): void => {
    const waitingText = next;
    next = null;
    if (waitingText !== null) speak(waitingText);
  };
  utterance.addEventListener("end", done);
  utterance.addEventListener("error", done);
  synthesis.speak(utterance);
}

export function silence(): void {
  next = null;
  synthesis?.cancel();
}
