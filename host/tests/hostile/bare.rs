//! Connectors written in WebAssembly itself, for what a compiler does not do.

use crate::obedient::{HOST, MODULE, component};
use spile_host::sandbox::Connector;
use std::sync::LazyLock;

/// What a connector does in a call of `next`, and at its start.
#[derive(Default)]
pub struct Bare {
    /// Instructions of `next`, which gives the place of what it returns. By default it is done.
    pub next: &'static str,
    /// Instructions that run when an instance is made.
    pub start: &'static str,
    /// Further parts of the module.
    pub more: &'static str,
    /// Instructions of the allocator, which gets the old place, the old size, the alignment and the new size.
    pub allocate: &'static str,
}

/// The contract, as the tests' own connector carries it.
static CONTRACT: LazyLock<wit_component::metadata::Bindgen> =
    LazyLock::new(|| wit_component::metadata::decode(&MODULE).unwrap().1);

impl Bare {
    pub fn connector(&self) -> Connector {
        HOST.load(&self.component()).unwrap()
    }

    pub fn component(&self) -> Vec<u8> {
        let or = |own: &'static str, usual: &'static str| if own.is_empty() { usual } else { own };
        // The first page stays all zeros but for what a call returns. Zeros are a description of nothing, and success.
        let wat = format!(
            r#"(module
                (import "wasi:clocks/monotonic-clock@0.2.4" "subscribe-duration" (func $wait (param i64) (result i32)))
                (import "wasi:io/poll@0.2.4" "[method]pollable.block" (func $block (param i32)))
                (import "[export]spile:connector/source@0.1.0" "[resource-new]reader" (func $reader (param i32) (result i32)))
                (memory (export "memory") 2)
                (global $free (mut i32) (i32.const 65536))
                {more}
                (func $zeros (result i32) (i32.const 4096))
                (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $alignment i32) (param $new i32) (result i32)
                    {allocate})
                (func (export "_initialize") {start})
                (func (export "spile:connector/source@0.1.0#spec") (result i32) (call $zeros))
                (func (export "spile:connector/source@0.1.0#describe") (param i32 i32 i32 i32 i32 i32) (result i32) (call $zeros))
                (func (export "spile:connector/source@0.1.0#check") (param i32 i32 i32 i32 i32 i32) (result i32) (call $zeros))
                (func (export "spile:connector/source@0.1.0#[static]reader.open") (param i32) (result i32)
                    (i32.store8 (i32.const 1024) (i32.const 0))
                    (i32.store (i32.const 1032) (call $reader (i32.const 0)))
                    (i32.const 1024))
                (func (export "spile:connector/source@0.1.0#[method]reader.next")
                    (param $self i32) (param $rows i32) (param $bytes i64) (result i32)
                    {next}))"#,
            more = self.more,
            start = self.start,
            // A success, and of the three kinds of step the last.
            next = or(self.next, "(i32.store8 (i32.const 2056) (i32.const 2)) (i32.const 2048)"),
            allocate = or(
                self.allocate,
                "(global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                 (global.get $free)
                 (global.set $free (i32.add (global.get $free) (local.get $new)))",
            ),
        );
        let mut module = wat::parse_str(wat).unwrap();
        let contract = &*CONTRACT;
        let encoding = wit_component::StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &contract.resolve, contract.world, encoding).unwrap();
        component(&module)
    }
}
