//! Clocks and randomness past the tape.

use crate::gate::tape::{Monotonic, Random, Tape, Wall};
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::random;
use wasmtime_wasi::random::WasiRandomCtx;

/// Says what [`Clocks`] works on.
pub(super) struct Clock;

impl HasData for Clock {
    type Data<'a> = Clocks<'a>;
}

/// The machine's clocks, and the tape, if there is one.
pub(super) struct Clocks<'a> {
    pub live: WasiClocksCtxView<'a>,
    pub tape: Option<&'a Tape>,
}

impl Clocks<'_> {
    fn monotonic(&mut self, live: fn(&mut WasiClocksCtxView<'_>) -> wasmtime::Result<u64>) -> wasmtime::Result<u64> {
        let Some(tape) = self.tape else { return live(&mut self.live) };
        let Monotonic(time) = tape.answer(|| live(&mut self.live).map(Monotonic))?;
        Ok(time)
    }

    fn wall(
        &mut self,
        live: fn(&mut WasiClocksCtxView<'_>) -> wasmtime::Result<wall_clock::Datetime>,
    ) -> wasmtime::Result<wall_clock::Datetime> {
        let Some(tape) = self.tape else { return live(&mut self.live) };
        let Wall(seconds, nanoseconds) =
            tape.answer(|| live(&mut self.live).map(|time| Wall(time.seconds, time.nanoseconds)))?;
        Ok(wall_clock::Datetime { seconds, nanoseconds })
    }
}

impl monotonic_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.monotonic(|live| monotonic_clock::Host::now(live))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.monotonic(|live| monotonic_clock::Host::resolution(live))
    }

    // In a replay nobody sleeps: when it is over stands on the tape.
    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        match self.tape.is_some_and(Tape::is_replay) {
            true => self.live.subscribe_duration(0),
            false => self.live.subscribe_instant(when),
        }
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let is_replay = self.tape.is_some_and(Tape::is_replay);
        self.live.subscribe_duration(if is_replay { 0 } else { duration })
    }
}

impl wall_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.wall(|live| wall_clock::Host::now(live))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.wall(|live| wall_clock::Host::resolution(live))
    }
}

/// Says what [`Dice`] works on.
pub(super) struct Chance;

impl HasData for Chance {
    type Data<'a> = Dice<'a>;
}

/// The machine's randomness, and the tape, if there is one.
pub(super) struct Dice<'a> {
    pub live: &'a mut WasiRandomCtx,
    pub tape: Option<&'a Tape>,
}

impl random::Host for Dice<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let Some(tape) = self.tape else { return self.live.get_random_bytes(len) };
        let Random(bytes) = tape.answer(|| self.live.get_random_bytes(len).map(Random))?;
        if bytes.len() as u64 != len {
            return Err(tape.astray().into());
        }
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let Some(tape) = self.tape else { return self.live.get_random_u64() };
        let Random(bytes) =
            tape.answer(|| self.live.get_random_u64().map(|number| Random(number.to_le_bytes().to_vec())))?;
        let bytes = bytes.try_into().map_err(|_| tape.astray())?;
        Ok(u64::from_le_bytes(bytes))
    }
}
