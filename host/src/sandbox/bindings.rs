//! The contract of `wit/`, from the host's side.
//!
//! Generated from a world that has the exports only: the imports are wasmtime's own WASI, which is newer than the WIT that
//! connectors are built from, and is linked by compatible version.

#![allow(missing_docs, clippy::all, clippy::restriction)]

wasmtime::component::bindgen!({
    inline: "
        package spile:host;

        world exports {
            export spile:connector/source@0.1.0;
        }
    ",
    path: "../wit",
    exports: { default: async },
});
