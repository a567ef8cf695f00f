import { defineConfig } from "vite";

// Three files with fixed names, which the program embeds. No hashes, no dates, no paths of the machine: the same sources give the same bytes.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rolldownOptions: {
      output: {
        entryFileNames: "dashboard.js",
        assetFileNames: "dashboard[extname]",
        codeSplitting: false,
      },
    },
  },
  server: { proxy: { "/v1": process.env.DELTA_NODE ?? "http://127.0.0.1:6700" } },
});
