/**
 * The service worker: it keeps the page, and sends the headers without which browsers share no memory
 * between threads. The page of a first visit came without them, so it is opened once more: right after its
 * beginning, and never under the hands of somebody.
 */

import { usefulThreads } from "./ort";

const PATIENCE = 4000; // ms: who has had the page for longer is not to be disturbed
const DEEDS = ["pointerdown", "keydown", "click", "input", "drop", "paste"];
const MARK = "galago-opened-again"; // in this tab

/** Have the page's service worker work. Resolves when it is certain that the page stays as it is. */
export async function keepPage(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  const first = serviceWorker.controller === null;
  const ruled = new Promise((done) => serviceWorker.addEventListener("controllerchange", done, { once: true }));
  const doing = somethingDone();
  // Without it the page works all the same, with the network alone.
  const registration = await serviceWorker.register("sw.js").catch(() => null);
  // One that is at work, but not for this page, was gone past on purpose.
  if (!first || !registration || registration.active || !wouldGain()) return;
  const again = await Promise.race([ruled.then(() => true), doing, new Promise((done) => setTimeout(done, PATIENCE))]);
  if (again !== true || !mark()) return;
  location.reload();
  await new Promise(() => {}); // nothing more is begun
}

/** Whether the headers would bring threads; a page within another one gets none by them. */
const wouldGain = (): boolean => !crossOriginIsolated && usefulThreads() > 1 && self === top;

/** Resolves when the person does something; at once when that was before. */
function somethingDone(): Promise<void> {
  if (navigator.userActivation?.hasBeenActive) return Promise.resolve();
  return new Promise((done) => {
    for (const deed of DEEDS) addEventListener(deed, () => done(), { capture: true, once: true });
  });
}

/** Note that the page is opened again; false where it was, or where nothing can be noted. */
function mark(): boolean {
  try {
    if (sessionStorage.getItem(MARK) !== null) return false;
    sessionStorage.setItem(MARK, "");
    return true;
  } catch {
    return false; // storage switched off
  }
}
