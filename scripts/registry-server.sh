#!/bin/sh
# Starts a registry of OCI artifacts of its own on 127.0.0.1, at the port that is its first argument. What is pushed is kept in the
# folder that is the second; where that holds a file `htpasswd`, only its users are let in. Says `ready` when it is; ends when its
# standard input ends.
set -eu

fail() {
    echo "registry-server: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

port=$1
folder=$2
command -v docker-registry >/dev/null ||
    fail "there is no OCI registry" "install it (package \`docker-registry\` on Debian); its service need not run"

server=
end() {
    trap - EXIT
    # The shell would say that it was terminated.
    if [ -n "$server" ]; then { kill "$server" && wait "$server"; } 2>/dev/null || :; fi
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cat >"$folder/registry.yml" <<CONFIG
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $folder/storage}}
http: {addr: 127.0.0.1:$port}
CONFIG
if [ -e "$folder/htpasswd" ]; then
    echo "auth: {htpasswd: {realm: test, path: $folder/htpasswd}}" >>"$folder/registry.yml"
fi
docker-registry serve "$folder/registry.yml" </dev/null >"$folder/registry.log" 2>&1 &
server=$!
# A registry answers at /v2/, if only that it does not know who asks.
is_ready() {
    python3 -c 'import http.client, sys; c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1])); c.request("GET", "/v2/"); sys.exit(c.getresponse().status not in (200, 401))' "$port" 2>/dev/null
}
tries=0
until is_ready; do
    if [ "$tries" -ge 100 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$folder/registry.log" >&2
        fail "the registry did not start"
    fi
    tries=$((tries + 1))
    sleep 0.1
done
echo ready
cat >/dev/null
