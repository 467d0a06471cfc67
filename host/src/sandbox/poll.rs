//! `wasi:io/poll` past the tape: which of the things that a connector waits for are ready.
//!
//! In a run that is recorded, what the library says is noted. In a replay everything is there at once, timers included; so what was
//! noted is waited for, and nothing else is: the rest is as it was when it was recorded.

use crate::gate::tape::{IsReady, Polled, Tape};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::{Host, HostPollable};

/// Says what [`Polls`] works on.
pub(super) struct Poll;

impl HasData for Poll {
    type Data<'a> = Polls<'a>;
}

/// The table of pollables, and the tape, if there is one.
pub(super) struct Polls<'a> {
    pub table: &'a mut ResourceTable,
    pub tape: Option<&'a Tape>,
}

impl Host for Polls<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let Some(tape) = self.tape else { return self.table.poll(pollables).await };
        let Some(Polled(recorded)) = tape.recorded()? else {
            let ready = self.table.poll(pollables).await?;
            tape.note(&Polled(ready.clone()))?;
            return Ok(ready);
        };
        let wanted = |index: &u32| pollables.get(*index as usize).map(Resource::rep);
        let wanted: Option<Vec<u32>> = recorded.iter().map(wanted).collect();
        let mut waiting = wanted.filter(|wanted| !wanted.is_empty()).ok_or_else(|| tape.astray())?;
        // The connector waited when it was recorded, so it does not compute all the time now.
        tokio::task::yield_now().await;
        while !waiting.is_empty() {
            let handles = waiting.iter().map(|rep| Resource::new_borrow(*rep)).collect();
            let ready = self.table.poll(handles).await?;
            let places = (0_u32..).zip(waiting);
            waiting = places.filter(|(place, _)| !ready.contains(place)).map(|(_, rep)| rep).collect();
        }
        Ok(recorded)
    }
}

impl HostPollable for Polls<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let Some(tape) = self.tape else { return self.table.ready(pollable).await };
        match tape.recorded()? {
            None => {
                let is_ready = self.table.ready(pollable).await?;
                tape.note(&IsReady(is_ready))?;
                Ok(is_ready)
            }
            Some(IsReady(false)) => Ok(false),
            Some(IsReady(true)) => {
                self.table.block(pollable).await?;
                Ok(true)
            }
        }
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.table.block(pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        HostPollable::drop(self.table, pollable)
    }
}
