//! Records with objects in objects, a list of scalars and a list of objects. Rows of a list carry the record's `id` and their place.

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
    number: Text<'p>,
    created_at: Instant,
    total: f64,
    paid: bool,
    #[serde(borrow)]
    customer: Customer<'p>,
    #[serde(borrow)]
    tags: Vec<Text<'p>>,
    #[serde(borrow)]
    lines: Vec<Line<'p>>,
}

#[derive(Deserialize)]
struct Customer<'p> {
    id: i64,
    #[serde(borrow)]
    name: Text<'p>,
    #[serde(borrow)]
    address: Address<'p>,
}

#[derive(Deserialize)]
struct Address<'p> {
    #[serde(borrow)]
    street: Text<'p>,
    #[serde(borrow)]
    city: Text<'p>,
    #[serde(borrow)]
    zip: Text<'p>,
    #[serde(borrow)]
    country: Text<'p>,
    location: Location,
}

#[derive(Deserialize)]
struct Location {
    lat: f64,
    lon: f64,
}

#[derive(Deserialize)]
struct Line<'p> {
    #[serde(borrow)]
    sku: Text<'p>,
    quantity: i64,
    price: f64,
    discount: Option<f64>,
    #[serde(borrow)]
    product: Product<'p>,
    gift: bool,
}

#[derive(Deserialize)]
struct Product<'p> {
    id: i64,
    #[serde(borrow)]
    title: Text<'p>,
}

table!(Records, "records",
    id: Int64Builder,
    number: StringBuilder,
    created_at: TimestampMicrosecondBuilder,
    total: Float64Builder,
    paid: BooleanBuilder,
    customer_id: Int64Builder,
    customer_name: StringBuilder,
    customer_address_street: StringBuilder,
    customer_address_city: StringBuilder,
    customer_address_zip: StringBuilder,
    customer_address_country: StringBuilder,
    customer_address_location_lat: Float64Builder,
    customer_address_location_lon: Float64Builder,
);

table!(Tags, "records__tags",
    record_id: Int64Builder,
    position: Int64Builder,
    value: StringBuilder,
);

table!(Lines, "records__lines",
    record_id: Int64Builder,
    position: Int64Builder,
    sku: StringBuilder,
    quantity: Int64Builder,
    price: Float64Builder,
    discount: Float64Builder,
    product_id: Int64Builder,
    product_title: StringBuilder,
    gift: BooleanBuilder,
);

/// Three tables.
#[derive(Default)]
pub struct Nested {
    records: Records,
    tags: Tags,
    lines: Lines,
}

impl Tables for Nested {
    fn add(&mut self, page: &[u8]) -> Result<usize, sonic_rs::Error> {
        let page: Page<'_> = sonic_rs::from_slice(page)?;
        for record in &page.data {
            self.records.add(record);
            for (position, tag) in record.tags.iter().enumerate() {
                self.tags.record_id.append_value(record.id);
                self.tags.position.append_value(position as i64);
                self.tags.value.append_value(&**tag);
            }
            for (position, line) in record.lines.iter().enumerate() {
                self.lines.add(record.id, position, line);
            }
        }
        Ok(page.data.len())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![self.records.take(), self.tags.take(), self.lines.take()]
    }
}

impl Records {
    fn add(&mut self, record: &Record<'_>) {
        self.id.append_value(record.id);
        self.number.append_value(&*record.number);
        self.created_at.append_value(record.created_at.0);
        self.total.append_value(record.total);
        self.paid.append_value(record.paid);
        let Customer { id, name, address } = &record.customer;
        self.customer_id.append_value(*id);
        self.customer_name.append_value(&**name);
        self.customer_address_street.append_value(&*address.street);
        self.customer_address_city.append_value(&*address.city);
        self.customer_address_zip.append_value(&*address.zip);
        self.customer_address_country.append_value(&*address.country);
        self.customer_address_location_lat.append_value(address.location.lat);
        self.customer_address_location_lon.append_value(address.location.lon);
    }
}

impl Lines {
    fn add(&mut self, record: i64, position: usize, line: &Line<'_>) {
        self.record_id.append_value(record);
        self.position.append_value(position as i64);
        self.sku.append_value(&*line.sku);
        self.quantity.append_value(line.quantity);
        self.price.append_value(line.price);
        self.discount.append_option(line.discount);
        self.product_id.append_value(line.product.id);
        self.product_title.append_value(&*line.product.title);
        self.gift.append_value(line.gift);
    }
}
