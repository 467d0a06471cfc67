#!/bin/sh
# Fuzzes what reads what others have written: scripts/fuzz.sh [SECONDS [TARGET...]]
#
# libFuzzer, guided by coverage, on the toolchain of the project: what `cargo fuzz` adds to it needs a nightly one. What is found goes into the
# cache, and its smallest part that covers as much is kept in tests/fuzz/corpus.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- config expression response shaping header
cache=${XDG_CACHE_HOME:-$HOME/.cache}/spile/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$cache"
cd "$here/tests/fuzz"
flags=-Cpasses=sancov-module
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS="$flags --cfg fuzzing -Ccodegen-units=1" CARGO_TARGET_DIR="$cache/target" cargo build --quiet --release --bins --target "$host"
total=0
for target in "$@"; do
    binary=$cache/target/$host/release/$target
    found=$cache/$target
    log=$cache/$target.log
    mkdir -p "$found"
    echo "$target: fuzzing for $seconds s"
    if ! "$binary" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 -max_len=8192 -artifact_prefix="$found-failed-" \
        "$found" "corpus/$target" >"$log" 2>&1; then
        tail -40 "$log" >&2
        echo "$target: failed; the input is kept as $found-failed-*" >&2
        exit 1
    fi
    runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
    total=$((total + runs))
    echo "$target: $runs cases, no panic, no hang, never more than 1 GiB"
    # Only what adds coverage is worth keeping.
    rm -rf "$found.new" && mkdir "$found.new"
    "$binary" -merge=1 -max_len=8192 "$found.new" "corpus/$target" "$found" >>"$log" 2>&1
    rm -rf "$found" && mv "$found.new" "$found"
done
echo "$total cases over $# targets"
