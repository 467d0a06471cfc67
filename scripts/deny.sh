#!/bin/sh
# Checks licences, bans, sources and advisories of all dependencies with a pinned cargo-deny.
set -eu
cd "$(dirname -- "$0")/.."

version=0.20.2
root=${XDG_CACHE_HOME:-$HOME/.cache}/spile/cargo-deny/$version

if command -v cargo-deny >/dev/null 2>&1 && [ "$(cargo-deny --version)" = "cargo-deny $version" ]; then
    deny=cargo-deny
else
    deny=$root/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        echo "deny: installing cargo-deny $version into $root (compiles for some minutes, once)"
        # A folder of its own: these dependencies are not the project's.
        cargo install --locked --quiet --root "$root" --target-dir "$root/build" "cargo-deny@$version"
        rm -rf "$root/build"
    fi
fi

"$deny" --workspace check licenses bans sources

# The advisories are in a git repository, which not every network reaches.
if "$deny" --workspace fetch db; then
    "$deny" --workspace check --disable-fetch advisories
else
    echo "deny: NOT CHECKED: advisories, because the RustSec database cannot be fetched from here" >&2
fi
