import { defineConfig } from "vite";

// `galago serve` hands out what is built here; while writing the page, `npm run dev` shows it and
// passes questions on to a server that runs beside it.
const server = process.env.GALAGO_SERVER ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../galago/server/static",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0, // the Content-Security-Policy allows files of the server only
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": server, "/api": server, "/health": server } },
});
