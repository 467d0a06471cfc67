#!/bin/sh
# Finds or fetches what only the tests need: dlt, with which tests/conformance compares. Says what it finds and what it fetches.
# Given a name and a file of requirements, makes an environment of that name that has these too.
set -eu
cd "$(dirname -- "$0")/.."

name=${1:-dlt}
more=${2:-/dev/null}
requirements=tests/conformance/requirements.txt
version=$(sed -n 's/^dlt\[duckdb\]==//p' "$requirements")
folder=${XDG_CACHE_HOME:-$HOME/.cache}/spile/$name/$version
# A copy of the requirements, the last thing that is put there: so it says that they are all there.
complete=$folder/requirements.txt

fail() {
    echo "setup: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

# The Python that it was made with may be gone, which a compiled module shows.
if cat "$requirements" "$more" | cmp -s - "$complete" && "$folder/bin/python" -c 'import orjson' 2>/dev/null; then
    echo "setup: found dlt $version: $folder"
    exit 0
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "there is no Python 3.11 or newer, which dlt and its pinned companions need" "install python3, then run this again"
python3 -c 'import ensurepip, venv' 2>/dev/null ||
    fail "python3 cannot make virtual environments" "install Python's \`venv\` (package \`python3-venv\` on Debian), then run this again"
echo "setup: fetching dlt $version through pip into $folder"
mkdir -p "$(dirname -- "$folder")"
python3 -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
    --requirement "$requirements" --requirement "$more" || fail "pip did not fetch dlt $version" "check the network and pip's settings, then run this again"
cat "$requirements" "$more" >"$complete"
