/**
 * The service worker of the page without a server: its own files work without the network.
 *
 * The page's files lie in a cache named by their digest; a new version takes over at once, as the
 * files of the one before stay for pages that are still open with it. Models and ONNX Runtime's
 * .wasm are kept by files.ts, which knows their sizes and checks them.
 */

const here = self as unknown as ServiceWorkerGlobalScope;

/** Put in when the page is built: all its files, and a digest of them. */
declare const __SHELL__: { digest: string; files: string[] };

const shell = __SHELL__;
const PREFIX = "galago-page-";
const CURRENT = PREFIX + shell.digest;
const SITE = "galago-site"; // what `galago export` put beside the page, newest

const address = (path: string): string => new URL(path, here.registration.scope).href;

here.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CURRENT);
      // Past the browser's own cache: it may hold a file of the version before by the same name.
      await cache.addAll(shell.files.map((path) => new Request(address(path), { cache: "reload" })));
      await keepSite();
      await here.skipWaiting();
    })(),
  );
});

here.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const versions = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CURRENT);
      // In order of their making: the last of them may still be open in another tab.
      await Promise.all(versions.slice(0, -1).map((name) => caches.delete(name)));
      await here.clients.claim();
    })(),
  );
});

here.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = request.url.split(/[?#]/)[0] ?? "";
  if (request.method !== "GET" || !path.startsWith(here.registration.scope)) return;
  const name = path.slice(here.registration.scope.length);
  const answer = (found: Promise<Response>): void => event.respondWith(found.then(isolated));
  if (name === "" || name === "index.html") answer(kept(address("index.html"), request));
  else if (shell.files.includes(name) || name.startsWith("assets/")) answer(kept(path, request));
  else if (name === "site.json" || /^runtime\/.*\.mjs$/.test(name)) answer(newest(path, request));
});

/** What browsers ask of a page, and of the scripts of its workers, before its threads may share memory. */
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** The response with these headers; those that its host sent are left as they are. */
function isolated(response: Response): Response {
  if (response.type === "opaqueredirect" || response.type === "error") return response; // can't be made anew
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) if (!headers.has(name)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** What the page fetched before this worker saw it: site.json, and the scripts of the runtime named there. */
async function keepSite(): Promise<void> {
  const cache = await caches.open(SITE);
  const response = await fetch(address("site.json"), { cache: "no-cache" });
  if (!response.ok) return;
  const { runtime } = (await response.clone().json()) as { runtime: { folder: string; files: { path: string }[] } };
  await cache.put(address("site.json"), response);
  const scripts = runtime.files.filter(({ path }) => path.endsWith(".mjs"));
  await cache.addAll(scripts.map(({ path }) => address(runtime.folder + path)));
}

/** From this version's cache, else an older one's, else the network. */
async function kept(path: string, request: Request): Promise<Response> {
  const mine = await (await caches.open(CURRENT)).match(path);
  return mine ?? (await caches.match(path)) ?? fetch(request);
}

/** From the network, else as it was last time. */
async function newest(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(SITE);
  try {
    const response = await fetch(request.url, { cache: "no-cache" });
    if (response.ok) await cache.put(path, response.clone()).catch(() => {}); // no room: it works without
    return response;
  } catch (error) {
    const last = await cache.match(path);
    if (last) return last;
    throw error;
  }
}
