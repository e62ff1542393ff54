import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";

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
      for (const entry of readdirSync("src", { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) files.push(`${entry.parentPath}/${entry.name}`.replaceAll("\\", "/"));
      }
      const hash = createHash("sha256");
      for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(file)).update("\0");
      this.emitFile({ type: "asset", fileName: "sources.sha256", source: `${hash.digest("hex")}\n` });
    },
  };
}

// One page, two engines: `galago serve` answers, or (`--mode web`) the browser itself.
const ENGINES = {
  server: { engine: "server", outDir: "../galago/server/static" },
  web: { engine: "local", outDir: "../galago/export/page" },
};

export default defineConfig(({ mode }) => {
  const { engine, outDir } = ENGINES[mode === "web" ? "web" : "server"];
  return {
    base: "./",
    // The runtime's files stand beside the page, as they are: nothing of them is bundled.
    resolve: {
      conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions],
      alias: { "#engine": fileURLToPath(new URL(`src/${engine}/engine.ts`, import.meta.url)) },
    },
    plugins: [sources()],
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      cssTarget: ["chrome123", "firefox120", "safari17.5"],
      assetsInlineLimit: 0, // the Content-Security-Policy allows files of the server only
      modulePreload: { polyfill: false },
    },
    worker: { format: "es" },
    server: { proxy: { "/v1": server, "/api": server, "/health": server } },
  };
});
