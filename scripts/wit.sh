#!/bin/sh
# Prints the world of a component with a pinned wasm-tools.
# Usage: scripts/wit.sh COMPONENT.wasm
set -eu

version=1.263.0
root=${XDG_CACHE_HOME:-$HOME/.cache}/spile/wasm-tools/$version

if command -v wasm-tools >/dev/null 2>&1; then
    tools=wasm-tools
else
    tools=$root/bin/wasm-tools
    if [ ! -x "$tools" ]; then
        echo "wit: installing wasm-tools $version into $root (compiles for some minutes, once)" >&2
        cargo install --locked --quiet --root "$root" --target-dir "$root/build" \
            --no-default-features --features component "wasm-tools@$version"
        rm -rf "$root/build"
    fi
fi

"$tools" component wit "$1"
