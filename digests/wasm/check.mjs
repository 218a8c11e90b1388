// Runs the digests in WebAssembly and says whether they are those pinned:
//     node digests/wasm/check.mjs MODULE
// The module imports nothing; its `main` returns the exit code of src/main.rs.
import { readFileSync } from "node:fs";

function fail(message) {
    console.error(message);
    process.exit(1);
}

const path = process.argv[2];
if (!path) {
    fail("give the path of digests.wasm; digests/wasm/run.sh builds it");
}
const module = new WebAssembly.Module(readFileSync(path));
const imports = WebAssembly.Module.imports(module).map((one) => `${one.module}.${one.name}`);
if (imports.length > 0) {
    fail(`the module must need nothing of its host, but imports ${imports.join(", ")}`);
}
const { main } = new WebAssembly.Instance(module, {}).exports;
let differs;
try {
    differs = main(0, 0);
} catch (error) {
    fail(`the runs were cut short in WebAssembly, by a failed assertion or an overflow: ${error.stack}`);
}
if (differs !== 0) {
    fail(
        `line ${differs} of digests/pinned.txt is not what WebAssembly computes. If "cargo test -p digests" ` +
            "fails as well, see its message. Else the run depends on the platform: look for a usize, or for " +
            "floating point other than libm's, in what is hashed, counted or drawn.",
    );
}
console.log("the digests in WebAssembly are those pinned");
