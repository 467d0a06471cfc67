#!/bin/sh
# Starts a PostgreSQL server of its own on 127.0.0.1, at the port that is its argument, with a database `spile` that needs no password;
# says `ready` when it is. It ends, and nothing of it is left, when its standard input ends.
set -eu

fail() {
    echo "postgres-server: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

port=$1
if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root. The other user may not be able to read this file, or to be in this folder.
    id postgres >/dev/null 2>&1 || fail "root cannot run PostgreSQL, and there is no user \`postgres\`" "run this as another user"
    script=$(cat "$0")
    cd /
    exec runuser -u postgres -- sh -c "$script" "$0" "$port"
fi

# Debian keeps servers out of the PATH, by their versions; the last one is the newest.
for folder in /usr/lib/postgresql/*/bin; do [ -x "$folder/initdb" ] && PATH=$folder:$PATH; done
command -v initdb >/dev/null || fail "there is no PostgreSQL server" "install it (package \`postgresql\` on Debian, version 15 or newer)"

folder=$(mktemp -d)
server=
end() {
    trap - EXIT
    if [ -n "$server" ]; then { kill -INT "$server" && wait "$server"; } 2>/dev/null || :; fi
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

initdb --pgdata="$folder/data" --username=spile --auth=trust --encoding=UTF8 --no-locale --no-sync >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    fail "initdb made no database folder"
}
# Nothing has to outlive the machine. The checkpoints are as rare as a tuned server's.
postgres -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 -c fsync=off -c max_wal_size=4GB \
    -c shared_buffers=256MB -c max_connections=200 </dev/null >>"$folder/log" 2>&1 &
server=$!
tries=0
until psql --host=127.0.0.1 --port="$port" --username=spile --no-psqlrc --quiet --command='CREATE DATABASE spile' postgres 2>/dev/null; do
    if [ "$tries" -ge 300 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$folder/log" >&2
        fail "the server did not start"
    fi
    tries=$((tries + 1))
    sleep 0.1
done
echo ready
cat >/dev/null
