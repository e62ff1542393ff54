/** Where live pictures come from: a camera, the screen, a video file. */

import { make, sleep } from "./dom";
import { t } from "./i18n";

/** Why there is no picture; `state.<reason>` in the texts explains it. */
export type Reason = "refused" | "absent" | "taken" | "insecure" | "broken" | "failed";

export class NoPicture extends Error {
  /** `words` are the browser's own, for what nobody foresaw. */
  constructor(
    readonly reason: Reason,
    readonly words = "",
  ) {
    super(words || reason);
  }
}

const REASONS: Record<string, Reason> = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "absent",
  OverconstrainedError: "absent",
  NotSupportedError: "absent",
  NotReadableError: "taken",
  AbortError: "taken",
};

const devices = (): MediaDevices => {
  // Browsers hide it from pages that came over plain http from elsewhere.
  if (!("mediaDevices" in navigator)) throw new NoPicture("insecure");
  return navigator.mediaDevices;
};

async function open(ask: () => Promise<MediaStream>): Promise<MediaStream> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NoPicture) throw error;
    // Not every browser's OverconstrainedError is a DOMException.
    const name = error instanceof Object && "name" in error ? String(error.name) : "";
    const reason = REASONS[name];
    throw reason ? new NoPicture(reason) : new NoPicture("failed", String(error));
  }
}

const SIZE = { width: { ideal: 1280 }, height: { ideal: 960 } };

/** The camera with this id, or the one that looks away from ("environment") or at the person. */
export function openCamera(id: string, facing: "environment" | "user"): Promise<MediaStream> {
  const which = id ? { deviceId: { exact: id } } : { facingMode: { ideal: facing } };
  return open(() => devices().getUserMedia({ video: { ...SIZE, ...which }, audio: false }));
}

export const openScreen = (): Promise<MediaStream> =>
  open(() => devices().getDisplayMedia({ video: true, audio: false }));

export async function cameras(): Promise<MediaDeviceInfo[]> {
  if (!("mediaDevices" in navigator)) return [];
  const all = await navigator.mediaDevices.enumerateDevices();
  return all.filter((device) => device.kind === "videoinput");
}

/** Let the person choose among cameras ("" = any), "screen" and "file"; keeps what is chosen. */
export async function fillSources(select: HTMLSelectElement): Promise<number> {
  const found = (await cameras()).filter((device) => device.deviceId);
  const chosen = select.value;
  const options = found.map((device, index) => {
    const name = device.label || t("live.camera.n", { n: index + 1 });
    return make("option", { value: device.deviceId }, name);
  });
  if (!options.length) options.push(make("option", { value: "" }, t("live.camera")));
  if (canShareScreen()) options.push(make("option", { value: "screen" }, t("live.screen")));
  options.push(make("option", { value: "file" }, t("live.file")));
  select.replaceChildren(...options);
  if (options.some((option) => option.value === chosen)) select.value = chosen;
  return found.length;
}

const canShareScreen = (): boolean =>
  "mediaDevices" in navigator && "getDisplayMedia" in navigator.mediaDevices;

/** Show a stream or a file in a video element; resolves when there is a picture to look at. */
export async function play(video: HTMLVideoElement, source: MediaStream | File): Promise<void> {
  stop(video);
  if (source instanceof MediaStream) video.srcObject = source;
  else video.src = URL.createObjectURL(source);
  try {
    await video.play();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new NoPicture("broken");
  }
}

/** Let go of a camera or the screen. */
export function release(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** Let go of what a video shows. */
export function stop(video: HTMLVideoElement): void {
  if (video.srcObject instanceof MediaStream) release(video.srcObject);
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
  }
}

/** Keeps a phone's screen on while pictures run, where the browser can. */
export async function stayAwake(isOn: () => boolean): Promise<void> {
  let lock: WakeLockSentinel | null | undefined;
  while (isOn()) {
    // The browser takes it back whenever the page is hidden.
    if ((!lock || lock.released) && document.visibilityState === "visible") {
      lock = await navigator.wakeLock?.request("screen").catch(() => null);
    }
    await sleep(1000);
  }
  await lock?.release();
}
