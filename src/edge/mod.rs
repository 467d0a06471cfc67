//! The one part that knows WASI: exports the contract, and carries the engine's requests over `wasi:http`.
//!
//! It is compiled for one of two worlds: that of WASI 0.2 (`wit/connector.wit`), whose functions block, or with the feature
//! `streaming` that of WASI 0.3 (`wit/streaming`), whose functions are tasks. What the two have in common stands here.

#[cfg(not(feature = "streaming"))]
mod blocking;
mod convert;
mod exchange;
#[cfg(feature = "streaming")]
mod streaming;

#[cfg(not(feature = "streaming"))]
use blocking::bindings::{exports::spile::connector::source as wit, wasi::http::types as http};
#[cfg(feature = "streaming")]
use streaming::bindings::{spile::connector::source as wit, wasi::http0_3_0::types as http};

use crate::engine::{Extent, OpenRequest};
use crate::plan::{Plan, Source};

fn describe(source: &wit::SourceConfig) -> Result<wit::Description, Vec<wit::Error>> {
    match Plan::new(&borrowed(source)) {
        Ok(plan) => Ok(convert::description(plan.describe())),
        Err(errors) => Err(errors.into_iter().map(convert::error).collect()),
    }
}

/// How a source is opened of which nothing is read but one answer.
fn to_check(source: &wit::SourceConfig) -> OpenRequest<'_> {
    OpenRequest {
        source: borrowed(source),
        resources: &[],
        state: None,
        schema: None,
        window: 1,
        load_id: String::new(),
        extent: Extent::default(),
    }
}

fn to_read(request: &wit::OpenRequest) -> OpenRequest<'_> {
    OpenRequest {
        source: borrowed(&request.source),
        resources: &request.resources,
        state: request.state.as_deref(),
        schema: request.schema.as_deref(),
        window: request.window,
        load_id: request.load_id.clone(),
        extent: Extent {
            since: request.extent.since.clone(),
            until: request.extent.until.clone(),
            full_refresh: request.extent.full_refresh,
        },
    }
}

fn borrowed(source: &wit::SourceConfig) -> Source<'_> {
    Source { config: &source.config, params: &source.params, bindings: &source.bindings }
}
