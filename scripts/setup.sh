#!/bin/sh
# Finds or fetches what the recipes need: the Rust toolchain with the wasm target, a C compiler, DuckDB's ADBC driver.
# Says what it finds and what it fetches, and fetches nothing twice.
set -eu
cd "$(dirname -- "$0")/.."

duckdb_version=1.5.6-r.1

say() { echo "setup: $*"; }
# The first line says what is wrong, the others what to do.
fail() {
    echo "setup: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

# --- Rust -------------------------------------------------------------------------------------------------------------

channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
wasm_target=$(sed -n 's/^targets *= *\["\(.*\)"\]/\1/p' rust-toolchain.toml)

# Asks rustup's lists only: starting rustc could make rustup fetch unasked.
toolchain_is_there() {
    rustup toolchain list | grep -q "^$channel-" || return 1
    rustup target list --installed --toolchain "$channel" | grep -qx "$wasm_target" || return 1
    components=$(rustup component list --installed --toolchain "$channel")
    case $components in *clippy*rustfmt* | *rustfmt*clippy*) ;; *) return 1 ;; esac
}

set_up_rust() {
    if ! command -v rustup >/dev/null 2>&1; then
        # A toolchain from elsewhere does, if it is complete.
        if command -v cargo >/dev/null 2>&1 && [ -d "$(rustc --print sysroot)/lib/rustlib/$wasm_target" ]; then
            say "found $(rustc --version) with $wasm_target, without rustup"
            return
        fi
        fail "there is neither rustup nor a Rust toolchain with the target $wasm_target" \
            "install rustup (package \`rustup\` of your system, or see https://rustup.rs), then run this again" \
            "or install Rust $channel with the target $wasm_target by other means"
    fi
    if toolchain_is_there; then
        say "found Rust $channel with $wasm_target"
        return
    fi
    say "fetching Rust $channel with $wasm_target, through rustup"
    # Without a name it takes all of rust-toolchain.toml; before rustup 1.28 only `show` did.
    rustup toolchain install --no-self-update || rustup show active-toolchain ||
        fail "rustup did not install Rust $channel" "see its message above, then run this again"
    toolchain_is_there || fail "Rust $channel lacks $wasm_target, clippy or rustfmt after its installation" \
        "run \`rustup toolchain install $channel --target $wasm_target --component clippy,rustfmt\`"
}

set_up_c() {
    for compiler in "${CC:-cc}" gcc clang; do
        if found=$(command -v "$compiler"); then
            say "found the C compiler $found"
            return
        fi
    done
    fail "there is no C compiler, which links Rust programs" \
        "install gcc (packages \`gcc\` and \`libc6-dev\` on Debian, \`xcode-select --install\` on macOS)"
}

# --- DuckDB -----------------------------------------------------------------------------------------------------------

set_up_duckdb() {
    if [ -n "${SPILE_ADBC_DUCKDB:-}" ]; then
        [ -f "$SPILE_ADBC_DUCKDB" ] || fail "SPILE_ADBC_DUCKDB names no file: $SPILE_ADBC_DUCKDB" \
            "point it at DuckDB's shared library" "or unset it, and the library is fetched"
        say "found DuckDB's ADBC driver by SPILE_ADBC_DUCKDB: $SPILE_ADBC_DUCKDB"
        return
    fi
    drivers=${XDG_DATA_HOME:-$HOME/.local/share}/spile/drivers
    # npm's name of the platform, ADBC's, and the file in the package.
    case $(uname -s)-$(uname -m) in
        Linux-x86_64) set -- linux-x64 linux_amd64 libduckdb.so ;;
        Linux-aarch64) set -- linux-arm64 linux_arm64 libduckdb.so ;;
        Darwin-x86_64) set -- darwin-x64 macos_amd64 libduckdb.dylib ;;
        Darwin-arm64) set -- darwin-arm64 macos_arm64 libduckdb.dylib ;;
        *) fail "npm has no DuckDB library for $(uname -s) on $(uname -m)" \
            "point SPILE_ADBC_DUCKDB at a DuckDB library (libduckdb, version 1.5 or newer)" ;;
    esac
    library=$drivers/$3
    manifest=$drivers/duckdb.toml
    licence=$drivers/licenses/duckdb/LICENSE
    if [ -s "$library" ] && [ -s "$licence" ] && grep -qsFx "version = \"$duckdb_version\"" "$manifest"; then
        say "found DuckDB's ADBC driver $duckdb_version: $library"
        return
    fi
    command -v npm >/dev/null 2>&1 || fail "DuckDB's ADBC driver is missing, and so is npm, which fetches it" \
        "install npm (package \`npm\` of your system), then run this again" \
        "or point SPILE_ADBC_DUCKDB at a DuckDB library (libduckdb, version 1.5 or newer)"
    say "fetching DuckDB's ADBC driver $duckdb_version through npm into $drivers"
    mkdir -p "$drivers"
    temporary=$(mktemp -d "$drivers/.fetch.XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # npm checks the package against the registry's digest.
    npm install --loglevel=error --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --prefix "$temporary" \
        "@duckdb/node-bindings-$1@$duckdb_version" >/dev/null ||
        fail "npm did not fetch @duckdb/node-bindings-$1@$duckdb_version" "check the network and npm's settings, then run this again" \
            "or point SPILE_ADBC_DUCKDB at a DuckDB library (libduckdb, version 1.5 or newer)"
    cat >"$temporary/duckdb.toml" <<EOF
# Written by scripts/setup.sh: a manifest for ADBC driver managers.
manifest_version = 1
name = "DuckDB"
publisher = "DuckDB Foundation"
license = "MIT"
version = "$duckdb_version"

[ADBC]
version = "1.1.0"

[Driver]
entrypoint = "duckdb_adbc_init"

[Driver.shared]
$2 = "$library"
EOF
    # The manifest last: where it stands, the library does.
    mkdir -p "$drivers/licenses/duckdb"
    mv -f "$temporary/node_modules/@duckdb/node-bindings-$1/LICENSE" "$licence"
    mv -f "$temporary/node_modules/@duckdb/node-bindings-$1/$3" "$library"
    mv -f "$temporary/duckdb.toml" "$manifest"
    rm -rf "$temporary"
    trap - EXIT INT TERM
}

set_up_rust
set_up_c
set_up_duckdb
