//! What belongs to one instance on the host's side.

use super::clock::{Clocks, Dice};
use super::limits::MemoryLimiter;
use super::poll::Polls;
use crate::gate::Gate;
use crate::limits::Limits;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Bytes of randomness that one call gives.
const MAX_RANDOM: u64 = 64 << 10;

/// Clocks, randomness, HTTP through the gate, and the handles that the connector has open.
pub(super) struct StoreData {
    pub table: ResourceTable,
    pub limiter: MemoryLimiter,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    gate: Gate,
}

impl StoreData {
    pub fn new(gate: Gate, limits: &Limits, peak: Arc<AtomicUsize>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        // Denies all but clocks and randomness by default; the rest is not even linked.
        let wasi = WasiCtx::builder().max_random_size(MAX_RANDOM).build();
        let mut http = WasiHttpCtx::new();
        // Counted as kept in memory, which is up to twice what is sent.
        http.set_field_size_limit(limits.header_size.saturating_mul(2));
        Self { table, limiter: MemoryLimiter::new(limits.memory, peak), wasi, http, gate }
    }
}

impl StoreData {
    pub fn polls(&mut self) -> Polls<'_> {
        Polls { table: &mut self.table, tape: self.gate.tape() }
    }

    pub fn clocks(&mut self) -> Clocks<'_> {
        let live = WasiClocksCtxView { ctx: self.wasi.clocks(), table: &mut self.table };
        Clocks { live, tape: self.gate.tape() }
    }

    pub fn dice(&mut self) -> Dice<'_> {
        Dice { live: self.wasi.random(), tape: self.gate.tape() }
    }
}

impl WasiHttpView for StoreData {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.gate, table: &mut self.table, ctx: &mut self.http }
    }
}
