// Builds the page: one HTML file that asks for nothing from anywhere.
//
//   node build.mjs [--module FILE.wasm] [--digest HEX] [--out FILE.html]
//
// The module is compressed and written in base64; without one the page can show files, and
// says so if it is asked to play. The digest of the sources is recorded in the page.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { values: given } = parseArgs({
  options: { module: { type: "string" }, digest: { type: "string", default: "" }, out: { type: "string", default: join(here, "dist/page.html") } },
});

const [page, worker, style] = await Promise.all([bundle("main.tsx"), bundle("worker.ts"), bundle("style.css")]);
const packed = given.module ? gzipSync(readFileSync(given.module), { level: 9 }) : Buffer.alloc(0);
// The byte that names the machine on which it was compressed.
if (packed.length > 0) packed[9] = 255;
mkdirSync(dirname(given.out), { recursive: true });
writeFileSync(given.out, html());

async function bundle(name) {
  const built = await build({
    entryPoints: [join(here, "src", name)], bundle: true, write: false, minify: true, format: "iife",
    target: "es2022", charset: "utf8", legalComments: "none",
  });
  // Inside <script>, nothing may look like its end.
  return built.outputFiles[0].text.trim().replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
}

function hash(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** The policy lets the page run its own code and nothing else: no request leaves it. */
function policy() {
  return [
    "default-src 'none'", `script-src ${hash(page)} 'wasm-unsafe-eval'`, `style-src ${hash(style)}`,
    "worker-src blob:", "img-src data: blob:", "base-uri 'none'", "form-action 'none'",
  ].join("; ");
}

function html() {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="sources-digest" content="${given.digest}">
<title>Consensus, message by message</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="app"><noscript>This page needs JavaScript: it plays the protocols itself.</noscript></div>
<script type="application/json" id="embedded-trace"></script>
<script type="text/plain" id="module">${packed.toString("base64")}</script>
<script type="text/plain" id="worker">${worker}</script>
<script>${page}</script>
</body>
</html>
`;
}
