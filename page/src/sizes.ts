/** Numbers for people, in the language of the page. */

import { t } from "./i18n";

const locale = (): string => (document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang);

export const count = (n: number): string => new Intl.NumberFormat(locale()).format(n);

/** "2.3 MB": in thousands, as file managers count. */
export function bytes(n: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  const power = n < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** power;
  const maximumFractionDigits = power === 0 || value >= 100 ? 0 : 1;
  const format = { style: "unit", unit: units[power], unitDisplay: "short", maximumFractionDigits } as const;
  return new Intl.NumberFormat(locale(), format).format(value);
}

/** Seconds that something will take, as exactly as that can be known. */
export function timeLeft(seconds: number): string {
  if (seconds < 60) return t("time.seconds", { n: Math.max(1, Math.round(seconds)) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return t("time.minutes", { n: minutes });
  return t("time.hours", { h: Math.floor(minutes / 60), n: minutes % 60 });
}

/** A moment ("2024-05-31 18:20:05") by its day and minute. */
export const moment = (time: string): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }).format(
    new Date(`${time.replace(" ", "T")}Z`),
  );
