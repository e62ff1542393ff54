/** What a person has chosen, kept in this browser. */
export interface Settings {
  language: string; // "" = the browser's
  theme: "auto" | "light" | "dark";
  contrast: "auto" | "more";
  speak: boolean;
  rate: number;
  voice: string; // "" = by the language of the text
}

const KEY = "galago";
const DEFAULTS: Settings = {
  language: "",
  theme: "auto",
  contrast: "auto",
  speak: false,
  rate: 1,
  voice: "",
};

function load(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    return { ...DEFAULTS }; // storage switched off, or not ours
  }
}

export const settings: Settings = load();

export function change(part: Partial<Settings>): void {
  Object.assign(settings, part);
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // It holds until the tab is closed, then.
  }
  applyLook();
}

const moreContrast = matchMedia("(prefers-contrast: more)");
moreContrast.addEventListener("change", applyLook);

/** Theme and contrast, where the style sheet reads them. */
export function applyLook(): void {
  const root = document.documentElement;
  root.dataset.theme = settings.theme;
  root.dataset.contrast = settings.contrast === "more" || moreContrast.matches ? "more" : "auto";
}
