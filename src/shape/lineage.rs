//! The rows of a batch, each with the row that it is a child of, and their ids.
//!
//! Ids of child rows are hashes that begin with their parents' ids, so they are made when all rows of the batch are known: two at a
//! time, and after a row has said that it brings an id of its own, wherever that stands in it.

use super::identity::{self, Id};
use super::system::System;
use super::table::TableBuilder;
use crate::error::Result;

/// Rows in the order in which their reading began: parents before their children, and those of one table as they stand in it.
#[derive(Default)]
pub struct Lineage {
    rows: Vec<Row>,
}

struct Row {
    table: usize,
    /// Places of the rows that it is a child of, and that it stems from; its own where it is a root row.
    parent: usize,
    root: usize,
    /// Its place in its list.
    index: i64,
    /// None where it is to be made of what stands here.
    id: Option<Id>,
}

impl Lineage {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Forgets the rows from a place on.
    pub fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
    }

    /// Begins a root row: its place.
    pub fn root(&mut self, table: usize, id: Id) -> usize {
        let place = self.rows.len();
        self.rows.push(Row { table, parent: place, root: place, index: 0, id: Some(id) });
        place
    }

    /// Begins a row of a child table: its place.
    pub fn child(&mut self, table: usize, parent: usize, index: i64) -> usize {
        let root = self.root_of(parent);
        self.rows.push(Row { table, parent, root, index, id: None });
        self.rows.len() - 1
    }

    /// The place of the row that a row stems from.
    pub fn root_of(&self, place: usize) -> usize {
        self.rows.get(place).map_or(0, |row| row.root)
    }

    /// Gives a row an id of its own.
    pub fn give(&mut self, place: usize, id: &str) {
        if let Some(row) = self.rows.get_mut(place) {
            row.id = Some(Id::Given(id.to_owned()));
        }
    }

    /// About how many bytes the id of a row takes in a column.
    pub fn id_bytes(&self, place: usize) -> usize {
        let id = self.rows.get(place).and_then(|row| row.id.as_ref());
        id.map_or(identity::CHARACTERS, |id| id.as_bytes().len()) + size_of::<i32>()
    }

    /// Puts the ids of all rows, of their parents and roots into the columns that the tables have for them, tells which root rows they
    /// stem from, and forgets the rows.
    pub fn settle(&mut self, tables: &mut [TableBuilder]) -> Result<()> {
        self.make_ids(tables);
        let mut done = vec![0; tables.len()];
        // The place in its table of the root row that was met last, from which all rows up to the next one stem.
        let mut root = 0;
        for (place, row) in self.rows.iter().enumerate() {
            let (Some(table), Some(done)) = (tables.get_mut(row.table), done.get_mut(row.table)) else { continue };
            let mut put = |system, place: usize| {
                let id = self.rows.get(place).and_then(|row| row.id.as_ref()).map(Id::as_bytes);
                table.put_id(system, *done, id.unwrap_or_default())
            };
            put(System::Id, place)?;
            if row.parent == place {
                root = *done;
            } else {
                put(System::ParentId, row.parent)?;
                put(System::RootId, row.root)?;
                table.stems_from(root);
            }
            *done += 1;
        }
        self.rows.clear();
        Ok(())
    }

    fn make_ids(&mut self, tables: &[TableBuilder]) {
        let mut waiting = None;
        for place in 0..self.rows.len() {
            let Some(row) = self.rows.get(place).filter(|row| row.id.is_none()) else { continue };
            waiting = match waiting {
                None => Some(place),
                Some(first) if row.parent == first => {
                    self.make(tables, [first, first]);
                    Some(place)
                }
                Some(first) => {
                    self.make(tables, [first, place]);
                    None
                }
            };
        }
        if let Some(last) = waiting {
            self.make(tables, [last, last]);
        }
    }

    /// Makes the ids of two rows, which may be the same one, of those of their parents.
    fn make(&mut self, tables: &[TableBuilder], places: [usize; 2]) {
        let ids = identity::children(places.map(|place| {
            let row = self.rows.get(place);
            let parent = row.and_then(|row| self.rows.get(row.parent)).and_then(|parent| parent.id.as_ref());
            let table = row.and_then(|row| tables.get(row.table));
            let name = table.map_or("", |table| table.name.as_str());
            (parent.map(Id::as_bytes).unwrap_or_default(), name, row.map_or(0, |row| row.index))
        }));
        for (place, id) in places.into_iter().zip(ids) {
            if let Some(row) = self.rows.get_mut(place) {
                row.id = Some(id);
            }
        }
    }
}
