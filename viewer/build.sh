#!/usr/bin/env bash
# Builds the page: one HTML file that asks for nothing from anywhere.
#
#     viewer/build.sh [FILE.html]     default: viewer/page.html, which is part of the repository
#
# Needs node.js with npm, and Rust with the target wasm32-unknown-unknown
# (rustup target add wasm32-unknown-unknown).
set -euo pipefail
cd "$(dirname "$0")/.."
out="$(realpath -m "${1:-viewer/page.html}")"
target=wasm32-unknown-unknown

command -v npm >/dev/null || { echo "npm is missing: install node.js 20 or later" >&2; exit 2; }
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] ||
    { echo "the compiler has no $target: rustup target add $target" >&2; exit 2; }

digest="$(cargo run --quiet --locked -p viewer --example sources-digest)"
CARGO_TARGET_DIR=target/wasm cargo build -p viewer --target "$target" --profile page --locked
cd viewer/page
[ -d node_modules ] || npm ci --no-audit --no-fund --silent
npm run --silent check
VIEWER_MODULE="../../target/wasm/$target/page/viewer.wasm" npm test --silent
node build.mjs --module "../../target/wasm/$target/page/viewer.wasm" --digest "$digest" --out "$out"
