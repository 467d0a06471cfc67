#!/bin/sh
# Builds the wheel and the npm packages into FOLDER/packages, and checks what is in them against packaging/contents.txt, which `BLESS=1`
# writes anew. Usage: scripts/packages.sh FOLDER, Cargo's target folder.
set -eu
cd "$(dirname -- "$0")/.."
target=$1
packages=$target/packages
cache=${XDG_CACHE_HOME:-$HOME/.cache}/spile
drivers=${XDG_DATA_HOME:-$HOME/.local/share}/spile/drivers

fail() {
    echo "packages: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

case $(uname -s)-$(uname -m) in
    Linux-x86_64) platform=linux-x64 extension=so ;;
    Linux-aarch64) platform=linux-arm64 extension=so ;;
    Darwin-x86_64) platform=darwin-x64 extension=dylib ;;
    Darwin-arm64) platform=darwin-arm64 extension=dylib ;;
    *) fail "there are no drivers to bring for $(uname -s) on $(uname -m)" "use \`cargo install --path host\`" ;;
esac
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
rm -rf "$packages"
mkdir -p "$packages"
packages=$(cd "$packages" && pwd)
work=$packages/work

# --- What both bring beside the program ---------------------------------------------------------------------------------

# Links, of which maturin takes the files. A driver has the name of its database here, by which it is found without a manifest.
share=$work/payload/data/share/spile
mkdir -p "$share/drivers" "$share/licenses/spile"
for pair in duckdb:libduckdb.$extension postgresql:libadbc_driver_postgresql.so sqlite:libadbc_driver_sqlite.so; do
    database=${pair%%:*}
    if [ ! -f "$drivers/${pair#*:}" ] || [ ! -d "$drivers/licenses/$database" ]; then
        fail "$drivers lacks the driver of $database" "unset SPILE_ADBC_DUCKDB, SPILE_ADBC_POSTGRESQL and SPILE_ADBC_SQLITE, then run this again"
    fi
    ln -s "$drivers/${pair#*:}" "$share/drivers/lib$database.$extension"
    mkdir "$share/licenses/$database"
    ln -s "$drivers/licenses/$database"/* "$share/licenses/$database"
done
ln -s "$PWD"/LICENSE-* "$share/licenses/spile"

# --- The wheel ----------------------------------------------------------------------------------------------------------

ln -sfn "$work/payload" packaging/python/payload
(cd packaging/python && CARGO_TARGET_DIR=$target "$cache/maturin/bin/maturin" build --quiet --release --out "$packages")
set -- "$packages"/*.whl
wheel=$1

# --- The npm packages ---------------------------------------------------------------------------------------------------

# The program for one platform: the files of the wheel.
python3 -m zipfile --extract "$wheel" "$work/wheel"
mkdir -p "$work/platform/bin" "$work/spile/bin"
mv "$work/wheel/spile-$version.data/scripts/spile" "$work/platform/bin"
mv "$work/wheel/spile-$version.data/data/share" "$work/platform"
chmod +x "$work/platform/bin/spile"
# What starts it, and the library, with the components as modules of JavaScript.
cp examples/hosts/node/*.js examples/hosts/node/*.ts "$target/release/spile.wasm" "$target/release/spile-streaming.wasm" "$work/spile"
ln -s "$cache/portability/node/examples/hosts/node/node_modules" "$work/spile"
(cd "$work/spile" && node transpile.js >/dev/null && node transpile.js --streaming >/dev/null)
cp packaging/npm/spile.sh "$work/spile/bin/spile"
cp packaging/README.md LICENSE-* "$work/spile"
cp packaging/README.md "$work/platform"
node packaging/npm/manifests.mjs "$work" "$version" "$platform"
(cd "$packages" && npm pack --silent --ignore-scripts "$work/spile" "$work/platform" >/dev/null)

# --- What is in them ----------------------------------------------------------------------------------------------------

# Without what differs between versions and platforms.
contents() {
    for archive in "$packages"/*.whl "$packages"/*.tgz; do
        echo "${archive##*/}:"
        case $archive in
            *.whl) python3 -m zipfile --list "$archive" | sed '1d; s/  *[0-9]*-[0-9]*-[0-9]* .*//' ;;
            *) tar -tzf "$archive" ;;
        esac | LC_ALL=C sort | sed 's/^/    /'
    done | sed "s/$version/VERSION/g; s/$platform/PLATFORM/g; s/-py3-none-.*\.whl:/.whl:/; s/\.dylib$/.so/"
}
contents >"$work/contents.txt"
if [ -n "${BLESS:-}" ]; then cp "$work/contents.txt" packaging/contents.txt; fi
diff -u packaging/contents.txt "$work/contents.txt" >&2 ||
    fail "the packages have other files than packaging/contents.txt names" "correct them, or run this with BLESS=1 where that is as it should be"
for archive in "$packages"/*.whl "$packages"/*.tgz; do
    echo "packages: $archive, $(wc -c <"$archive") bytes"
done
rm -rf "$work"
