#!/bin/sh
# Says of the built components how large they are, and what the connector imports, which a test compares with the list.
# Usage: scripts/component.sh FOLDER, the folder of the built programs.
set -eu
cd "$(dirname -- "$0")/.."

for name in spile.wasm spile-edge.wasm; do
    echo "$name: $(wc -c <"$1/$name") bytes, $(gzip -9 -c "$1/$name" | wc -c) with gzip"
done
echo "spile.wasm imports:"
sed 's/^/  /' tests/end_to_end/imports.txt
