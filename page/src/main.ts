import { engine } from "#engine";
import { AddFiles } from "./adding-files";
import { Album } from "./album";
import { CopiesView } from "./copies";
import { connectSettings } from "./dialogs";
import { byId } from "./dom";
import { onLanguage, preferredLanguage, setLanguage, t } from "./i18n";
import { AddPhotos } from "./indexing";
import { Labels } from "./labels";
import { Live } from "./live";
import { ModelChoice } from "./model-choice";
import { PictureView } from "./picture";
import { start } from "./offered";
import { applyLook, settings } from "./settings";
import { Tabs } from "./tabs";

/** As addresses name them. The elements are called otherwise, or browsers would scroll past the header. */
const VIEWS = ["live", "picture", "album"] as const;

type View = (typeof VIEWS)[number];

/** The view that the address names; the link that skips the navigation names none. */
const named = (): View | undefined => VIEWS.find((view) => location.hash === `#${view}`);
let current: View = named() ?? "live";

function showView(): void {
  for (const view of VIEWS) {
    byId(`view-${view}`, HTMLElement).hidden = view !== current;
    const link = document.querySelector(`nav a[href="#${view}"]`);
    if (view === current) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
  }
  document.title = `${t(current)} – galago`;
}

/** A link of the navigation was followed: screen readers go on at the title of the view. */
function goToView(): void {
  const view = named();
  if (view === undefined) return;
  current = view;
  showView();
  scrollTo(0, 0); // with the navigation in sight
  byId(`${view}-title`, HTMLElement).focus({ preventScroll: true });
  if (view === "album") void album.refresh().catch(() => {}); // the banner tells of a lost server
}

/** How far indexing is, seen from the other tabs. */
function showShare(share: number | null): void {
  byId("tab-add-share", HTMLElement).textContent = share === null ? "" : `${Math.floor(100 * share)} %`;
}

applyLook();
setLanguage(settings.language || preferredLanguage());
onLanguage(showView);
addEventListener("hashchange", goToView);
for (const kind of ["dragover", "drop"] as const) {
  // A file that misses its place would take the page's place, and with it what was seen.
  addEventListener(kind, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
}
connectSettings();
if (engine.models) new ModelChoice(engine.models);
new Live();
const album = new Album(new PictureView(), new Labels());
const grown = (): void => void album.refresh().catch(() => {});
const add = engine.folders
  ? new AddPhotos(engine.folders, grown, showShare)
  : engine.files && new AddFiles(engine.files, grown, showShare);
const copies = engine.copies && new CopiesView(engine.copies);
byId("tab-copies", HTMLElement).hidden = copies === null;
const tabs = new Tabs(
  [
    { name: "find", title: "album.title", shown: grown },
    { name: "add", title: "add.title", shown: () => void add?.follow() },
    ...(copies ? [{ name: "copies", title: "copies.heading", shown: () => copies.open() } as const] : []),
  ],
  byId("album-title", HTMLElement),
);
byId("album-add", HTMLButtonElement).addEventListener("click", () => {
  tabs.show("add");
  add?.focus();
});
void start();
