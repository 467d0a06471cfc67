//! Records of 20 fields.

use crate::columns::{Rows, Tables, table};
use crate::text::{Instant, Text};
use serde::Deserialize;

#[derive(Deserialize)]
struct Page<'p> {
    #[serde(borrow)]
    data: Vec<Record<'p>>,
}

#[derive(Deserialize)]
struct Record<'p> {
    id: i64,
    #[serde(borrow)]
    uuid: Text<'p>,
    #[serde(borrow)]
    name: Text<'p>,
    #[serde(borrow)]
    email: Text<'p>,
    #[serde(borrow)]
    status: Text<'p>,
    created_at: Instant,
    updated_at: Instant,
    amount: f64,
    score: f64,
    latitude: f64,
    longitude: f64,
    count: i64,
    balance: i64,
    active: bool,
    verified: bool,
    #[serde(borrow)]
    country: Text<'p>,
    #[serde(borrow)]
    note: Option<Text<'p>>,
    parent_id: Option<i64>,
    deleted_at: Option<Instant>,
    #[serde(borrow)]
    description: Text<'p>,
}

table!(Records, "records",
    id: Int64Builder,
    uuid: StringBuilder,
    name: StringBuilder,
    email: StringBuilder,
    status: StringBuilder,
    created_at: TimestampMicrosecondBuilder,
    updated_at: TimestampMicrosecondBuilder,
    amount: Float64Builder,
    score: Float64Builder,
    latitude: Float64Builder,
    longitude: Float64Builder,
    count: Int64Builder,
    balance: Int64Builder,
    active: BooleanBuilder,
    verified: BooleanBuilder,
    country: StringBuilder,
    note: StringBuilder,
    parent_id: Int64Builder,
    deleted_at: TimestampMicrosecondBuilder,
    description: StringBuilder,
);

/// One table.
#[derive(Default)]
pub struct Flat(Records);

impl Tables for Flat {
    fn add(&mut self, page: &[u8]) -> Result<usize, sonic_rs::Error> {
        let page: Page<'_> = sonic_rs::from_slice(page)?;
        let to = &mut self.0;
        for record in &page.data {
            to.id.append_value(record.id);
            to.uuid.append_value(&*record.uuid);
            to.name.append_value(&*record.name);
            to.email.append_value(&*record.email);
            to.status.append_value(&*record.status);
            to.created_at.append_value(record.created_at.0);
            to.updated_at.append_value(record.updated_at.0);
            to.amount.append_value(record.amount);
            to.score.append_value(record.score);
            to.latitude.append_value(record.latitude);
            to.longitude.append_value(record.longitude);
            to.count.append_value(record.count);
            to.balance.append_value(record.balance);
            to.active.append_value(record.active);
            to.verified.append_value(record.verified);
            to.country.append_value(&*record.country);
            to.note.append_option(record.note.as_deref());
            to.parent_id.append_option(record.parent_id);
            to.deleted_at.append_option(record.deleted_at.as_ref().map(|instant| instant.0));
            to.description.append_value(&*record.description);
        }
        Ok(page.data.len())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![self.0.take()]
    }
}
