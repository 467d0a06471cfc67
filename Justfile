# Cargo's target folder, as Cargo itself finds it.
target := env("CARGO_TARGET_DIR", justfile_directory() / "target")

# List the recipes
[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# Run the AI-platform connector against the mock API, into demo.duckdb
demo: setup
    scripts/demo.sh "{{ target }}/release"

# Run all tests
test: setup setup-destinations setup-test setup-portability
    cargo test --release --workspace

# Read the same in every runtime, and print the table (`BLESS=1` keeps it in docs/runtimes.md)
portability: build setup-portability
    cargo test --release --workspace --test portability -- every_runtime_reads_the_same --nocapture

# Build the program (release/spile in Cargo's target folder) and the component beside it (spile.wasm)
build: setup
    cargo build --release --workspace
    @ls -l "{{ target }}/release/spile" "{{ target }}/release/spile.wasm"

# Build the wheel and the npm packages, into `packages` in Cargo's target folder
packages: build component-streaming setup-destinations setup-packages
    scripts/packages.sh "{{ target }}"

# Try the ways to install, each where nothing else is: the wheel, the npm packages, `cargo install --path host`
try-packages: packages
    scripts/try-packages.sh "{{ target }}"

# Build the components, and say how large they are and what they import
component: build
    @scripts/component.sh "{{ target }}/release" spile.wasm tests/end_to_end/imports.txt spile-edge.wasm

# Build the component for hosts of WASI 0.3 (release/spile-streaming.wasm in Cargo's target folder), and say how large it is
component-streaming: build
    "{{ target }}/release/spile-component" "{{ target }}"
    @scripts/component.sh "{{ target }}/release" spile-streaming.wasm tests/portability/streaming/imports.txt

# Print the world of the component
wit: build
    @scripts/wit.sh "{{ target }}/release/spile.wasm"

# Check formatting, lints, licences, advisories and shell scripts
lint: setup
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo clippy --package spile-connector --package spile-edge --target wasm32-unknown-unknown --profile component -- -D warnings
    cargo clippy --package spile-connector --features streaming --target wasm32-unknown-unknown --profile component -- -D warnings
    scripts/deny.sh
    scripts/shellcheck.sh

# Build the documents as a book (book in Cargo's target folder), and check their links
book: setup
    @scripts/book.sh "{{ target }}"

# Measure Spile beside a native reference and dlt 1.31, over HTTP on this machine; `--help` tells how to choose, `--smoke` is quick
bench *ARGUMENTS: build setup-destinations setup-bench
    "{{ target }}/release/bench-rest" {{ ARGUMENTS }}

# Measure parts of the engine and the host: each benchmark compares in one run
bench-engine: setup
    cargo bench --workspace --bench '*'

# Compare the parsers that could read a page, natively and in wasm, in one run
bench-parsers: setup
    cargo run --release --manifest-path benches/parsers/Cargo.toml --package runner

# Fuzz configurations, expressions, responses, records and headers, each for so many seconds
fuzz SECONDS="60":
    scripts/fuzz.sh "{{ SECONDS }}"

# Find or fetch what the other recipes need: toolchain, wasm target, DuckDB's ADBC driver
setup:
    @scripts/setup.sh

# Find or fetch the ADBC drivers of PostgreSQL and SQLite
setup-destinations:
    @scripts/setup-destinations.sh

# Find or fetch what only the tests need: dlt, which the conformance tests compare with
setup-test:
    @scripts/setup-test.sh

# Find or fetch what runs components in the tests: companions of Node and Python, jco; and see that Chromium is there
setup-portability:
    @scripts/setup-portability.sh

# Find or fetch what only `packages` needs: maturin, jco
setup-packages:
    @scripts/setup-packages.sh

# Find or fetch what only `bench` needs: dlt with all that makes it fast
setup-bench:
    @scripts/setup-test.sh dlt-bench benches/rest/requirements.txt

# Build the same world with `cargo component build` (optional: installs cargo-component)
component-cargo-component: setup
    scripts/cargo-component.sh "{{ target }}"
