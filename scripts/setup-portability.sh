#!/bin/sh
# Finds or fetches what only the tests of portability need: the companions of the examples for Node and Python, and jco. Says what it
# finds and what it fetches. Given `node`, only what reads in Node.
set -eu
cd "$(dirname -- "$0")/.."

folder=${XDG_CACHE_HOME:-$HOME/.cache}/spile/portability

say() { echo "setup: $*"; }
fail() {
    echo "setup: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

# set_up_node NAME FROM TO: the packages that the lock file in FROM names, in TO/node_modules.
set_up_node() {
    # A copy of the lock file, the last thing that is put there: so it says that they are all there.
    if cmp -s "$2/package-lock.json" "$3/node_modules/complete.json"; then
        say "found $1: $3"
        return
    fi
    say "fetching $1 through npm into $3"
    mkdir -p "$3"
    cp "$2/package.json" "$2/package-lock.json" "$3"
    npm ci --loglevel=error --no-audit --no-fund --ignore-scripts --prefix "$3" >/dev/null ||
        fail "npm did not fetch $1" "check the network and npm's settings, then run this again"
    cp "$2/package-lock.json" "$3/node_modules/complete.json"
}

set_up_python() {
    examples=examples/hosts/python
    complete=$folder/python/complete.txt
    if cat "$examples"/requirements*.txt | cmp -s - "$complete" && "$folder/python/bin/python" -c 'import wasmtime, pyarrow' 2>/dev/null; then
        say "found wasmtime for Python: $folder/python"
        return
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "there is no Python 3.11 or newer" "install python3, then run this again"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make virtual environments" "install Python's \`venv\` (package \`python3-venv\` on Debian), then run this again"
    say "fetching wasmtime for Python through pip into $folder/python"
    mkdir -p "$folder"
    python3 -m venv --clear "$folder/python"
    "$folder/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
        --requirement "$examples/requirements-arrow.txt" --requirement "$examples/requirements-dlt.txt" ||
        fail "pip did not fetch wasmtime and its companions" "check the network and pip's settings, then run this again"
    cat "$examples"/requirements*.txt >"$complete"
}

command -v npm >/dev/null 2>&1 || fail "npm is missing" "install node and npm (packages \`nodejs\` and \`npm\` of your system), then run this again"
node -e 'const [major, minor] = process.versions.node.split("."); process.exit(Number(major < 20 || (major == 20 && minor < 11)))' ||
    fail "this node is too old" "install Node 20.11 or newer, then run this again"
set_up_node "what reads in Node" examples/hosts/node "$folder/node/examples/hosts/node"
set_up_node "a Node that runs WASI 0.3" tests/portability/streaming "$folder/streaming"
if [ "${1:-}" = node ]; then exit; fi
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || fail "there is no Chromium at ${CHROMIUM:-/usr/bin/chromium}" \
    "install it (package \`chromium\` on Debian), then run this again" "or give the path of its program in the environment variable CHROMIUM"
say "found Chromium: ${CHROMIUM:-/usr/bin/chromium}"
set_up_node "what reads in a browser" examples/browser "$folder/node/examples/browser"
set_up_node "what makes connectors of JavaScript" examples/connectors/javascript "$folder/node/examples/connectors/javascript"
set_up_node jco tests/portability "$folder/jco"
set_up_python
