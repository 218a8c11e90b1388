#!/usr/bin/env bash
# Compiles the protocols and the simulator for WebAssembly, and compares the digests of
# their runs there, under node.js, with those pinned.
#
#     digests/wasm/run.sh             with what is installed
#     digests/wasm/run.sh --install   installs what is missing: the target by rustup, else
#                                     a compiler for it by apt-get; and node.js by apt-get
#
# What is still missing is named in a line that begins with SKIPPED, which is no failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

install=false
case "${1:-}" in
    --install) install=true ;;
    "") ;;
    *) echo "usage: digests/wasm/run.sh [--install]" >&2; exit 2 ;;
esac

target=wasm32-unknown-unknown
oldest_rust="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"

skip() {
    echo "SKIPPED: $1"
    exit 0
}

has_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]
}

# Whether this compiler comes with the source of the standard library, to be compiled for
# the target, and is new enough for the project.
has_source() {
    [ -x "$(command -v "$1")" ] && [ -d "$("$1" --print sysroot)/lib/rustlib/src/rust/library" ] &&
        printf '%s\n' "$oldest_rust" "$("$1" --version | cut -d ' ' -f 2)" | sort -CV
}

add_target() {
    command -v rustup >/dev/null && timeout 120 rustup target add "$target" && has_target
}

# Installs packages without removing any: rustc-web conflicts with Debian's rustc.
add_packages() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "$@" >/dev/null
}

find_compiler() {
    has_target && return
    for compiler in rustc /usr/bin/rustc; do
        if has_source "$compiler"; then
            # Only an unstable option has cargo compile the standard library; and Debian's
            # compiler has no linker for WebAssembly, which all others bring along.
            export RUSTC="$compiler" RUSTC_BOOTSTRAP=1
            build_std=(-Z build-std=std,panic_abort)
            linker="$(find "$(rustc --print sysroot)/lib/rustlib" -name rust-lld | head -n 1)"
            [ -z "$linker" ] || export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker"
            return
        fi
    done
    return 1
}

build_std=()
find_compiler ||
    { "$install" && add_target; } ||
    { "$install" && add_packages rustc-web rust-web-src && find_compiler; } ||
    skip "nothing is compiled for WebAssembly: no compiler for $target; rustup target add $target"

# In a folder of its own, as the compiler may be another one. Quick to compile, and with
# checks for overflow: 32 bits overflow sooner.
export CARGO_TARGET_DIR=target/wasm
cargo build -p digests --target "$target" --locked "${build_std[@]}" \
    --config profile.dev.debug=0 --config 'profile.dev.package."*".opt-level=1'

command -v node >/dev/null || { "$install" && add_packages nodejs && command -v node >/dev/null; } ||
    skip "the digests are not compared in WebAssembly: node.js is not installed; apt-get install nodejs"
node digests/wasm/check.mjs "$CARGO_TARGET_DIR/$target/debug/digests.wasm"
