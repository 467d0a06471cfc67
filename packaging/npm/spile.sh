#!/bin/sh
# Becomes the program, which is in a package of its own for each platform: so arguments, exit code and signals are the program's.
set -eu

case $(uname -s)-$(uname -m) in
    Linux-x86_64) platform=linux-x64 ;;
    Linux-aarch64) platform=linux-arm64 ;;
    Darwin-x86_64) platform=darwin-x64 ;;
    Darwin-arm64) platform=darwin-arm64 ;;
    *) platform=$(uname -s)-$(uname -m) ;;
esac

# npm links to this file from elsewhere.
file=$0
while [ -L "$file" ]; do
    link=$(readlink "$file")
    case $link in
        /*) file=$link ;;
        *) file=$(dirname -- "$file")/$link ;;
    esac
done
folder=$(CDPATH='' cd -- "$(dirname -- "$file")" && pwd -P)

# Where Node would look for the package.
while :; do
    program=$folder/node_modules/@spile/$platform/bin/spile
    if [ -f "$program" ]; then exec "$program" "$@"; fi
    if [ "$folder" = / ]; then break; fi
    folder=$(dirname -- "$folder")
done

{
    echo "spile: the program is missing: the package @spile/$platform is not installed"
    echo "  - if there is one, install it beside this package, in the same version; npm leaves it out with --omit=optional"
    echo "  - or build the program from Spile's sources: cargo install --path host"
} >&2
exit 127
