#!/usr/bin/env bash
# Runs targets under libFuzzer, on stable Rust and without sanitizers; see docs/fuzzing.md.
#
#   fuzz/run.sh --seconds 60                     every target, a minute each
#   fuzz/run.sh --runs 10000000 traces plans     two targets, ten million inputs each
#   fuzz/run.sh --list
#   fuzz/run.sh --again FILE traces              one input again
#
# Needs a C++ compiler and cargo-fuzz (`cargo install cargo-fuzz --locked`). Ends with 1 as soon as
# a target has panicked or taken more memory than it may; the input is in fuzz/artifacts then.
set -euo pipefail
cd "$(dirname "$0")/.."
# What is run for days may be built in minutes.
export CARGO_PROFILE_RELEASE_LTO=off
# Every refused input has an error, and with a backtrace in each a target is several times slower.
export RUST_BACKTRACE=0 RUST_LIB_BACKTRACE=0
options=(--features libfuzzer --sanitizer none --codegen-units 16)

usage() {
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
}

case "${1:-}" in
--seconds) limit="-max_total_time=${2:?how many seconds}" && shift 2 ;;
--runs) limit="-runs=${2:?how many inputs}" && shift 2 ;;
--again) exec cargo fuzz run "${options[@]}" "${3:?which target}" "${2:?which file}" ;;
--list) exec cargo fuzz list ;;
*) usage ;;
esac
command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2 && exit 2; }

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
if [ $# -eq 0 ]; then cargo fuzz build "${options[@]}"; fi
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    log="fuzz/corpus/$target.log"
    # What is new is kept in the first folder; the seeds are read only.
    if ! cargo fuzz run "${options[@]}" "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        "$limit" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
        cat "$log"
        exit 1
    fi
    awk -v target="$target" '
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { speed = $2 }
        /^stat::peak_rss_mb/ { memory = $2 }
        /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cover = $(i + 1) }
        END { printf "%-14s %12d inputs, %7d/s, %6d edges, %5d MB at most\n", target, runs, speed, cover, memory }' "$log"
done
