/** One caption and how long it held. */
export interface Caption {
  text: string;
  at: Date; // when it was first seen
  from: number; // seconds since the start, or in the video
  to: number;
  unsure: boolean;
}

const pad = (value: number, digits: number): string => String(value).padStart(digits, "0");

/** Seconds as WebVTT writes them: 00:01:02.500. */
export function vttTime(seconds: number): string {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const whole = Math.floor(ms / 1000);
  const clock = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${clock.map((part) => pad(part, 2)).join(":")}.${pad(ms % 1000, 3)}`;
}

/** A cue's text must hold neither tags nor arrows nor empty lines (WebVTT, section 4.2.2). */
const cueText = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/\s*\n\s*/g, "\n")
    .trim();

/** The captions as a WebVTT file. */
export function toVtt(captions: Caption[]): string {
  const cues = captions.map((caption) => {
    const to = Math.max(caption.to, caption.from + 0.5);
    return `${vttTime(caption.from)} --> ${vttTime(to)}\n${cueText(caption.text)}\n`;
  });
  return ["WEBVTT\n", ...cues].join("\n");
}

export const clock = (at: Date): string =>
  [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => pad(part, 2)).join(":");

/** The captions as lines of text with their times. */
export function toText(captions: Caption[]): string {
  return captions.map((caption) => `${clock(caption.at)}  ${caption.text.replace(/\s+/g, " ")}\n`).join("");
}
