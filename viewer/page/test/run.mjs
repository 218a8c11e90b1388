// Bundles what is tested, and runs the tests. With the module in VIEWER_MODULE, lessons are
// played as well.

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../dist/test");
const tests = ["run", "faults", "moment", "drawings", ...(process.env["VIEWER_MODULE"] ? ["lessons"] : [])];
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  entryPoints: tests.map((name) => join(here, `${name}.test.mjs`)), bundle: true, format: "esm", platform: "node",
  outdir: out, outExtension: { ".js": ".mjs" }, jsx: "automatic", jsxImportSource: "preact",
});
const { status } = spawnSync(process.execPath, ["--test", `${out}/`], { stdio: "inherit" });
process.exit(status ?? 1);
