#!/bin/sh
# The demo: the AI-platform connector reads the mock API into demo.duckdb, twice, and the rows are counted.
# Usage: scripts/demo.sh FOLDER, the folder of the built programs.
set -eu
cd "$(dirname -- "$0")/.."
programs=$1
database=demo.duckdb

cargo build --release --workspace

temporary=$(mktemp -d)
api=
stop() {
    if [ -n "$api" ]; then
        kill "$api" 2>/dev/null || :
        wait "$api" 2>/dev/null || :
    fi
    rm -rf "$temporary"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# 25 applications are two pages of them; some datasets, models and inputs take several pages too. Every 50th request is
# refused once: the summary counts the retries.
set -- --apps 25 --models 3 --versions 2 --inputs 45 --concepts 21 --jobs 3 --too-many-every 50 --retry-after 0
SPILE_DEMO_TOKEN=demo-token
export SPILE_DEMO_TOKEN

# The API ends with its standard input, which this script holds open: so nothing is left even where the script is killed.
mkfifo "$temporary/line" "$temporary/held"
exec 4<>"$temporary/held"
"$programs/mock-api" "$@" --token "$SPILE_DEMO_TOKEN" --user demo --until-stdin-closes \
    <"$temporary/held" >"$temporary/line" 4>&- &
api=$!
read -r line <"$temporary/line" || { echo "demo: the mock API did not start" >&2; exit 1; }
url=${line#listening on }
echo "demo: the mock API listens on $url"

# Runs `spile COMMAND FILE` with the arguments that follow, on the mock API. Only the script holds the API's input open.
spile() {
    command=$1
    shift
    "$programs/spile" "$command" connectors/ai-platform.yaml "$@" --base-url "$url" --allow-private "$url" \
        --param user_id=demo --secret api_key=env:SPILE_DEMO_TOKEN 4>&-
}

rm -f "$database" "$database.wal"
echo "demo: reading eight resources into $database"
spile run --to "duckdb:$database"
echo "demo: once more into the same file: rows are merged by id, so there must be as many as before"
spile run --to "duckdb:$database" --summary json >"$temporary/summary"

# {"tables": [{"table": …, "total": …}, …]} as lines `table total`.
tr -d ' \n' <"$temporary/summary" | tr '{}' '[\n*]' |
    sed -n 's/.*"table":"\([^"]*\)".*"total":\([0-9]*\).*/\1 \2/p' >"$temporary/loaded"
"$programs/mock-api" "$@" --user demo --print-expected >"$temporary/expected"

echo
awk '
    function row(table, served, loaded, verdict) { printf "%-60s %8s %8s  %s\n", table, served, loaded, verdict }
    BEGIN { row("table", "served", "loaded", "") }
    FILENAME == ARGV[1] { served[$1] = $2; if ($1 !~ /__/) roots++; next }
    { loaded[$1] = $2 }
    END {
        for (table in served) names[table]
        for (table in loaded) names[table]
        sorter = "LC_ALL=C sort"
        for (table in names) {
            same = served[table] + 0 == loaded[table] + 0
            if (!same) wrong++
            printf "%-60s %8d %8d  %s\n", table, served[table], loaded[table], same ? "same" : "DIFFERENT" | sorter
        }
        close(sorter)
        if (wrong || roots != 8) { printf "demo: %d tables differ\n", wrong; exit 1 }
        printf "demo: all tables, %d of them root tables, hold what the API serves\n", roots
    }
' "$temporary/expected" "$temporary/loaded"

echo
echo "demo: three applications, read again and shown, not written"
spile preview applications --rows 3
echo "demo: the rows are in $database"
