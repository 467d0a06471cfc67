#!/bin/sh
# Checks the shell scripts, where shellcheck is installed.
set -eu
cd "$(dirname -- "$0")/.."
if command -v shellcheck >/dev/null 2>&1; then
    shellcheck justw scripts/*.sh packaging/npm/spile.sh .ci/run
else
    echo "shellcheck: NOT CHECKED: shell scripts, because shellcheck is not installed"
fi
