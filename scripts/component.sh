#!/bin/sh
# Says of the built connector how large it is and what it imports, which a test compares with the list; and of what else is built of it
# how large that is. Usage: scripts/component.sh FOLDER CONNECTOR IMPORTS [COMPONENT…], FOLDER that of the built programs.
set -eu
cd "$(dirname -- "$0")/.."
folder=$1 connector=$2 imports=$3
shift 3

for name in "$connector" "$@"; do
    echo "$name: $(wc -c <"$folder/$name") bytes, $(gzip -9 -c "$folder/$name" | wc -c) with gzip"
done
echo "$connector imports:"
sed 's/^/  /' "$imports"
