#!/bin/sh
# Installs the wheel, the npm packages and the package of Cargo, each into a folder of its own, and reads the mock API with each, where no driver
# and no cache of this user is found. Usage: scripts/try-packages.sh FOLDER, Cargo's target folder.
set -eu
cd "$(dirname -- "$0")/.."
target=$1
packages=$target/packages
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

say() { echo "try-packages: $*"; }
fail() {
    echo "try-packages: failed: $*" >&2
    exit 1
}

temporary=$(mktemp -d)
apis=
stop() {
    for api in $apis; do
        kill "$api" 2>/dev/null || :
        wait "$api" 2>/dev/null || :
    done
    rm -rf "$temporary"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The APIs end with their standard input, which this script holds open: so nothing is left even where the script is killed.
mkfifo "$temporary/line" "$temporary/held"
exec 4<>"$temporary/held"
# Starts the mock API; `url` is where it listens.
serve() {
    "$target/release/mock-api" "$@" --token try-token --user try --until-stdin-closes <"$temporary/held" >"$temporary/line" 4>&- &
    apis="$apis $!"
    read -r line <"$temporary/line" || fail "the mock API did not start"
    url=${line#listening on }
}
set -- --apps 25 --models 3 --versions 2 --inputs 45 --concepts 21 --jobs 3
serve "$@" --latency-ms 500
slow=$url
serve "$@"
"$target/release/mock-api" "$@" --user try --print-expected | LC_ALL=C sort >"$temporary/expected"
[ -s "$temporary/expected" ] || fail "the mock API does not tell what it serves"

# The library of DuckDB's driver, where the way that is tried brings none.
driver=
# Runs a program for the way that is tried, with a home that has nothing but what it left there itself.
alone() {
    home=$temporary/$way/home
    mkdir -p "$home"
    env -i PATH=/usr/bin:/bin HOME="$home" XDG_DATA_HOME="$home/data" XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache" \
        TRY_TOKEN=try-token SPILE_ADBC_DUCKDB="$driver" "$@" 4>&-
}

# run PROGRAM DESTINATION: reads all resources, and tells the summary.
run() {
    alone "$1" run connectors/ai-platform.yaml --to "$2" --base-url "$url" --allow-private "$url" --param user_id=try \
        --secret api_key=env:TRY_TOKEN --summary json
}

# same FILE WHAT: whether the lines `table rows` of FILE are what the API serves.
same() {
    LC_ALL=C sort "$1" | diff -u "$temporary/expected" - >&2 || fail "$way: $2 does not hold the rows that the API serves"
    say "$way: $2 holds $(awk '{ rows += $2 } END { print rows " rows in " NR " tables" }' "$1"), as the API serves them"
}

# tells PROGRAM CODE TEXT ARGUMENT…: whether it ends with this code, and says this.
tells() {
    program=$1 code=$2 text=$3
    shift 3
    status=0
    alone "$program" "$@" >"$temporary/said" 2>&1 || status=$?
    if [ "$status" != "$code" ] || ! grep -qF -- "$text" "$temporary/said"; then
        cat "$temporary/said" >&2
        fail "$way: \`spile $*\` ended with $status, not with $code, or did not say: $text"
    fi
}

# read_with PROGRAM DESTINATION: reads, and compares the rows that the tables have then.
read_with() {
    run "$1" "$2" >"$temporary/$way/summary" 2>"$temporary/said" || { cat "$temporary/said" >&2; fail "$way: the run into ${2%%:*} failed"; }
    # {"tables": [{"table": …, "total": …}, …]} as lines `table total`.
    tr -d ' \n' <"$temporary/$way/summary" | tr '{}' '[\n*]' |
        sed -n 's/.*"table":"\([^"]*\)".*"total":\([0-9]*\).*/\1 \2/p' >"$temporary/$way/loaded"
    same "$temporary/$way/loaded" "${2%%:*}"
}

# interrupt PROGRAM: a signal to what was started must reach the program, which then ends as with Ctrl-C.
interrupt() {
    alone "$temporary/wheel/bin/python" -c '
import json, signal, subprocess, sys, time, urllib.request

url, *command = sys.argv[1:]
requests = lambda: json.load(urllib.request.urlopen(url + "/_stats"))["total"]
run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    while run.poll() is None and requests() == 0:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    if run.wait() != 130:
        sys.exit(f"it ended with {run.returncode}, not with 130")
finally:
    run.kill()
' "$slow" "$1" run connectors/ai-platform.yaml --to "duckdb:$temporary/$way/interrupted.duckdb" --base-url "$slow" --allow-private "$slow" \
        --param user_id=try --secret api_key=env:TRY_TOKEN || fail "$way: a run was not interrupted by SIGINT"
    say "$way: a run is interrupted by SIGINT, as the program itself"
}

# --- The wheel ----------------------------------------------------------------------------------------------------------

way=wheel
python3 -m venv "$temporary/wheel"
"$temporary/wheel/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-index "$packages"/*.whl
program=$temporary/wheel/bin/spile
tells "$program" 0 "spile $version" --version
read_with "$program" "duckdb:$temporary/wheel/try.duckdb"
# Another driver, and another program that counts the rows.
run "$program" "sqlite:$temporary/wheel/try.sqlite" >/dev/null 2>"$temporary/said" || { cat "$temporary/said" >&2; fail "wheel: the run into sqlite failed"; }
"$temporary/wheel/bin/python" -c '
import sqlite3, sys

database = sqlite3.connect(sys.argv[1])
for line in open(sys.argv[2]):
    table = line.split()[0]
    print(table, database.execute(f"SELECT count(*) FROM \"ai_platform_dataset__{table}\"").fetchone()[0])
' "$temporary/wheel/try.sqlite" "$temporary/expected" >"$temporary/wheel/counted"
same "$temporary/wheel/counted" sqlite
# No server is there: its driver says so.
tells "$program" 5 "127.0.0.1" run connectors/ai-platform.yaml --to postgresql://127.0.0.1:1/none --base-url "$url" --allow-private "$url" \
    --param user_id=try --secret api_key=env:TRY_TOKEN

# --- The npm packages ---------------------------------------------------------------------------------------------------

way=npm
mkdir -p "$temporary/npm" "$temporary/npm-alone"
install() { npm install --loglevel=error --no-audit --no-fund --no-package-lock --ignore-scripts "$@" >/dev/null; }
(cd "$temporary/npm" && echo '{ "type": "module" }' >package.json && install "$packages"/*.tgz)
program=$temporary/npm/node_modules/.bin/spile
tells "$program" 0 "spile $version" --version
tells "$program" 2 "no such.yaml" check "no such.yaml"
read_with "$program" "duckdb:$temporary/npm/try.duckdb"
interrupt "$program"

cat >"$temporary/npm/try.js" <<'END'
import { readFile } from 'node:fs/promises';
import { rows } from 'spile';

const [file, url, streaming] = process.argv.slice(2);
const config = JSON.parse(await readFile(file, 'utf8'));
config.client.base_url = url;
const counts = {};
const options = { params: { user_id: 'try' }, secrets: { api_key: process.env.TRY_TOKEN }, streaming: streaming === 'streaming' };
for await (const [table] of rows(config, options)) {
    counts[table] = (counts[table] ?? 0) + 1;
}
for (const [table, count] of Object.entries(counts)) console.log(table, count);
END
alone "$(command -v node)" "$temporary/npm/try.js" "$PWD/examples/hosts/node/ai-platform.json" "$url" >"$temporary/npm/iterated"
# The configuration has two of the resources.
cp "$temporary/expected" "$temporary/all"
grep -E '^(applications|app_inputs)(__| )' "$temporary/all" >"$temporary/expected"
same "$temporary/npm/iterated" "the library's iterator"
# Linux has a Node that was set up; elsewhere the machine's own is to be new enough.
newer=${XDG_CACHE_HOME:-$HOME/.cache}/spile/portability/streaming/node_modules/.bin/node
[ -x "$newer" ] || newer=$(command -v node)
alone "$newer" "$temporary/npm/try.js" "$PWD/examples/hosts/node/ai-platform.json" "$url" streaming >"$temporary/npm/streamed"
same "$temporary/npm/streamed" "the library's iterator, with the component of WASI 0.3"
mv "$temporary/all" "$temporary/expected"

sed "s|'./spile.js'|'spile'|" examples/hosts/node/example.ts >"$temporary/npm/example.ts"
cp examples/hosts/node/tsconfig.json "$temporary/npm"
types=$(sed -n 's/.*"types": "\(npx.*\)".*/\1/p' examples/hosts/node/package.json)
(cd "$temporary/npm" && $types) || fail "npm: the example in TypeScript does not compile"
say "npm: the example in TypeScript compiles"

way=npm-alone
(cd "$temporary/npm-alone" && echo '{}' >package.json && install --omit=optional "$packages/spile-$version.tgz")
tells "$temporary/npm-alone/node_modules/.bin/spile" 127 "is not installed" --version
say "npm: without the package of the platform it is told what is missing"

# --- Cargo --------------------------------------------------------------------------------------------------------------

way=cargo
CARGO_TARGET_DIR=$target cargo install --quiet --locked --path host --root "$temporary/cargo"
program=$temporary/cargo/bin/spile
tells "$program" 0 "spile $version" --version
# It brings no driver, which also shows that those above were the packages' own.
tells "$program" 5 "there is no ADBC driver for DuckDB" run connectors/ai-platform.yaml --to "duckdb:$temporary/cargo/none.duckdb" \
    --base-url "$url" --allow-private "$url" --param user_id=try --secret api_key=env:TRY_TOKEN
set -- "$temporary"/wheel/share/spile/drivers/libduckdb.*
driver=$1
read_with "$program" "duckdb:$temporary/cargo/try.duckdb"
