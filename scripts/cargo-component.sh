#!/bin/sh
# Builds the component with cargo-component, to show that the world needs nothing of this project's own build.
# Usage: scripts/cargo-component.sh FOLDER, Cargo's target folder.
set -eu
cd "$(dirname -- "$0")/.."
target=$1

version=0.21.1
root=${XDG_CACHE_HOME:-$HOME/.cache}/spile/cargo-component/$version

if [ ! -x "$root/bin/cargo-component" ]; then
    echo "cargo-component: installing $version into $root (compiles for some minutes, once)"
    # A folder of its own: these dependencies are not the project's.
    cargo install --locked --quiet --root "$root" --target-dir "$root/build" "cargo-component@$version"
    rm -rf "$root/build"
fi

# It writes bindings into the sources, wherever there is a folder `wit`; ours are made by a macro, and nothing reads these.
trap 'rm -f src/bindings.rs' EXIT
# Through cargo, so that it finds rustup: it adds the target wasm32-wasip1, which it wants to be there whatever is built.
PATH=$root/bin:$PATH cargo component build --package spile-connector --lib --profile component \
    --target wasm32-unknown-unknown
component=$target/wasm32-unknown-unknown/component/spile_connector.wasm
echo "cargo-component: $component, $(wc -c <"$component") bytes"
