import { byId, make } from "./dom";
import { LANGUAGES, onLanguage, preferredLanguage, setLanguage, t } from "./i18n";
import { change, type Settings, settings } from "./settings";
import { onVoices, silence, speak, voices } from "./voice";

/** The settings dialog: everything takes effect at once and is kept. */
export function connectSettings(): void {
  const dialog = byId("settings", HTMLDialogElement);
  byId("settings-open", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
  connectLanguage();
  connectChoice("set-theme", settings.theme, (theme) => ({ theme: theme as Settings["theme"] }));
  connectChoice("set-contrast", settings.contrast, (contrast) => ({
    contrast: contrast as Settings["contrast"],
  }));
  connectSpeech();
}

function connectChoice(id: string, value: string, part: (value: string) => Partial<Settings>): void {
  const select = byId(id, HTMLSelectElement);
  select.value = value;
  select.addEventListener("change", () => change(part(select.value)));
}

function connectLanguage(): void {
  const select = byId("set-language", HTMLSelectElement);
  const options = Object.entries(LANGUAGES).map(([tag, { name }]) =>
    make("option", { value: tag, lang: tag }, name),
  );
  select.replaceChildren(...options);
  select.value = settings.language || preferredLanguage();
  select.addEventListener("change", () => {
    change({ language: select.value });
    setLanguage(select.value);
  });
}

function connectSpeech(): void {
  const rate = byId("set-rate", HTMLInputElement);
  rate.value = String(settings.rate);
  const showRate = (): void => {
    byId("rate-shown", HTMLOutputElement).value = `${rate.value} ×`;
  };
  showRate();
  rate.addEventListener("input", showRate);
  rate.addEventListener("change", () => change({ rate: Number(rate.value) }));
  const select = byId("set-voice", HTMLSelectElement);
  select.addEventListener("change", () => change({ voice: select.value }));
  const fill = (): void => {
    const options = voices().map((voice) =>
      make("option", { value: voice.voiceURI, lang: voice.lang }, `${voice.name} (${voice.lang})`),
    );
    select.replaceChildren(make("option", { value: "" }, t("speech.auto")), ...options);
    select.value = settings.voice;
    byId("no-voice", HTMLElement).hidden = options.length > 0;
    byId("try-voice", HTMLButtonElement).disabled = options.length === 0;
  };
  onVoices(fill);
  onLanguage(fill);
  byId("try-voice", HTMLButtonElement).addEventListener("click", () => {
    silence();
    speak(t("speech.sample"));
  });
}
