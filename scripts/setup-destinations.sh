#!/bin/sh
# Finds or fetches the ADBC drivers of PostgreSQL and SQLite (DuckDB's comes with scripts/setup.sh). Says what it finds and what it
# fetches, and fetches nothing twice.
set -eu

version=1.13.0

say() { echo "setup: $*"; }
# The first line says what is wrong, the others what to do.
fail() {
    echo "setup: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

case $(uname -s)-$(uname -m) in
    Linux-x86_64) platform=linux_amd64 ;;
    Linux-aarch64) platform=linux_arm64 ;;
    Darwin-x86_64) platform=macos_amd64 ;;
    Darwin-arm64) platform=macos_arm64 ;;
    *) fail "there are no ADBC drivers in PyPI for $(uname -s) on $(uname -m)" \
        "let SPILE_ADBC_POSTGRESQL and SPILE_ADBC_SQLITE name the libraries of drivers" ;;
esac
drivers=${XDG_DATA_HOME:-$HOME/.local/share}/spile/drivers

# $1: the name of package and manifest, $2: the database, $3: the variable that names a library, $4: the entry point.
set_up() {
    eval "named=\${$3:-}"
    if [ -n "$named" ]; then
        [ -f "$named" ] || fail "$3 names no file: $named" "point it at the library of the driver" "or unset it, and the driver is fetched"
        say "found $2's ADBC driver by $3: $named"
        return
    fi
    library=$drivers/libadbc_driver_$1.so
    manifest=$drivers/$1.toml
    licenses=$drivers/licenses/$1
    if [ -s "$library" ] && [ -d "$licenses" ] && grep -qsFx "version = \"$version\"" "$manifest"; then
        say "found $2's ADBC driver $version: $library"
        return
    fi
    python3 -m pip --version >/dev/null 2>&1 || fail "$2's ADBC driver is missing, and so is pip, which fetches it" \
        "install python3 with pip (package \`python3-pip\` on Debian), then run this again" \
        "or let $3 name the library of the driver"
    say "fetching $2's ADBC driver $version through pip into $drivers"
    mkdir -p "$drivers"
    temporary=$(mktemp -d "$drivers/.fetch.XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # The wheel is only a container for the library: nothing of it is installed. pip checks it against the registry's digest.
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-deps --only-binary :all: \
        --target "$temporary" "adbc-driver-$1==$version" ||
        fail "pip did not fetch adbc-driver-$1 $version" "check the network and pip's settings, then run this again" \
            "or let $3 name the library of the driver"
    cat >"$temporary/manifest" <<EOF
# Written by scripts/setup-destinations.sh: a manifest for ADBC driver managers.
manifest_version = 1
name = "$2"
publisher = "Apache Arrow"
license = "Apache-2.0"
version = "$version"

[ADBC]
version = "1.1.0"

[Driver]
entrypoint = "$4"

[Driver.shared]
$platform = "$library"
EOF
    # The manifest last: where it stands, the library does.
    rm -rf "$licenses"
    mkdir -p "$drivers/licenses"
    mv "$temporary/adbc_driver_$1-$version.dist-info/licenses" "$licenses"
    mv -f "$temporary/adbc_driver_$1/libadbc_driver_$1.so" "$library"
    mv -f "$temporary/manifest" "$manifest"
    rm -rf "$temporary"
    trap - EXIT INT TERM
}

set_up postgresql PostgreSQL SPILE_ADBC_POSTGRESQL AdbcDriverPostgresqlInit
set_up sqlite SQLite SPILE_ADBC_SQLITE AdbcDriverSqliteInit
