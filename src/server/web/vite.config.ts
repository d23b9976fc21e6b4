// SPDX-License-Identifier: Apache-2.0
import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// Every browser that can run the page reads woff2: the older forms of KaTeX's fonts stay out of the binary.
const woff2Only: Plugin = {
  name: "woff2-only",
  enforce: "pre",
  transform(code, id) {
    if (!/katex(\.min)?\.css/.test(id)) return null;
    return code.replace(/,\s*url\([^)]+\.(?:woff|ttf)\)\s*format\(["'][^"']+["']\)/g, "");
  },
};

// During development the page comes from Vite and the rest from a server that runs already.
const server = "http://127.0.0.1:8321";

export default defineConfig({
  plugins: [woff2Only, svelte()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy knows no data: scripts, styles or fonts
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: Object.fromEntries(["/v1", "/deepwell", "/health", "/metrics"].map((path) => [path, { target: server, changeOrigin: false }])) },
  test: {
    include: ["tests/**/*.test.ts"],
    setupFiles: ["tests/setup.js"],
    css: { include: [/app\.css/] }, // otherwise a style sheet is empty, also one that is read as text
  },
});
