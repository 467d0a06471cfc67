#!/bin/sh
# Finds or fetches what only the building of packages needs: maturin, and what makes a module of JavaScript of the component. Says what it
# finds and what it fetches.
set -eu
cd "$(dirname -- "$0")/.."

maturin=$(sed -n 's/^requires = \["\(.*\)"\]/\1/p' packaging/python/pyproject.toml)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/spile/maturin

fail() {
    echo "setup: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

if [ "$("$folder/bin/maturin" --version 2>/dev/null)" = "$(echo "$maturin" | sed 's/==/ /')" ]; then
    echo "setup: found $maturin: $folder"
else
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make virtual environments" "install Python's \`venv\` (package \`python3-venv\` on Debian), then run this again"
    echo "setup: fetching $maturin through pip into $folder"
    python3 -m venv --clear "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: "$maturin" ||
        fail "pip did not fetch $maturin" "check the network and pip's settings, then run this again"
fi
scripts/setup-portability.sh node
