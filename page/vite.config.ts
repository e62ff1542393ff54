import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defaultClientConditions, defineConfig, type Plugin, type Rolldown } from "vite";

// `galago serve` hands out what is built here; while writing the page, `npm run dev` shows it and
// passes questions on to a server that runs beside it.
const server = process.env.GALAGO_SERVER ?? "http://127.0.0.1:8000";

// The built page is committed, so that no installation needs Node. It names what it was built from:
// tools/page.py computes the same and so finds a forgotten build, without Node.
function sources(): Plugin {
  return {
    name: "sources",
    apply: "build",
    generateBundle() {
      const files = ["index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"];
      for (const folder of ["src", "web"]) {
        for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
          if (entry.isFile()) files.push(`${entry.parentPath}/${entry.name}`.replaceAll("\\", "/"));
        }
      }
      const hash = createHash("sha256");
      for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(file)).update("\0");
      this.emitFile({ type: "asset", fileName: "sources.sha256", source: `${hash.digest("hex")}\n` });
    },
  };
}

// What the page without a server may load: its own files, and the hub's when the person asks for that.
// Hosts of static files send no headers of ours, so it stands in the page.
const HUB = "https://huggingface.co https://*.huggingface.co https://*.hf.co";
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src blob:",
  `connect-src 'self' data: blob: ${HUB}`,
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];

/** What only the page without a server has: its policy, the manifest, a service worker that knows its files. */
function alone(): Plugin {
  return {
    name: "alone",
    apply: "build",
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY.join("; ") }, injectTo: "head-prepend" },
      { tag: "meta", attrs: { name: "referrer", content: "no-referrer" } },
      { tag: "link", attrs: { rel: "manifest", href: "./manifest.webmanifest" } },
      { tag: "link", attrs: { rel: "apple-touch-icon", href: "./icons/touch.png" } },
    ],
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const worker = bundle["sw.js"];
        if (worker?.type !== "chunk") throw new Error("there is no service worker");
        const hash = createHash("sha256");
        const take = (name: string, content: string | Uint8Array): string => {
          hash.update(`${name}\0`).update(content).update("\0");
          return name;
        };
        const files = Object.values(bundle)
          .filter((file) => file !== worker && file.fileName !== "sources.sha256")
          .sort((one, other) => (one.fileName < other.fileName ? -1 : 1))
          .map((file: Rolldown.OutputChunk | Rolldown.OutputAsset) =>
            take(file.fileName, file.type === "chunk" ? file.code : file.source));
        for (const name of ["manifest.webmanifest", ...readdirSync("web/icons").sort().map((icon) => `icons/${icon}`)]) {
          files.push(take(name, readFileSync(`web/${name}`)));
        }
        hash.update(worker.code);
        const shell = { digest: hash.digest("hex").slice(0, 12), files };
        worker.code = worker.code.replace("__SHELL__", JSON.stringify(shell));
      },
    },
  };
}

// One page, two engines: `galago serve` answers, or (`--mode web`) the browser itself.
const ENGINES = {
  server: { engine: "server", outDir: "../galago/server/static" },
  web: { engine: "local", outDir: "../galago/export/page" },
};

export default defineConfig(({ mode }) => {
  const web = mode === "web";
  const { engine, outDir } = ENGINES[web ? "web" : "server"];
  return {
    base: "./",
    publicDir: web && "web",
    // The runtime's files stand beside the page, as they are: nothing of them is bundled.
    resolve: {
      conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions],
      alias: { "#engine": fileURLToPath(new URL(`src/${engine}/engine.ts`, import.meta.url)) },
    },
    plugins: [sources(), web && alone()],
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      cssTarget: ["chrome123", "firefox120", "safari17.5"],
      assetsInlineLimit: 0, // the Content-Security-Policy allows files of the server only
      modulePreload: { polyfill: false },
      rolldownOptions: web ? {
        input: { index: "index.html", sw: "src/local/sw.ts" },
        // A service worker rules what lies below it, and has one address for ever.
        output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
      } : {},
    },
    worker: { format: "es" },
    server: { proxy: { "/v1": server, "/api": server, "/health": server } },
  };
});
