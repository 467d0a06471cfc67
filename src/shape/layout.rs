//! Where the keys of records lead, found out once for each key and looked up afterwards.
//!
//! A row's fields form a tree of objects. Records of one resource have much the same keys in much the same order, so a key is
//! looked for after the key before it, and only then among all.

use super::naming::{self, SEPARATOR};
use super::system::{ROW_ID, System};
use std::collections::BTreeMap;

/// The objects of all records, by number.
#[derive(Default)]
pub struct Layout {
    objects: Vec<Object>,
}

/// An object: a row, or an object within a row.
pub struct Object {
    /// The table whose row it is a part of, by number.
    pub table: usize,
    /// How deep what is in it is unfolded.
    pub nesting: u32,
    /// What its keys' columns begin with; empty for a row.
    prefix: String,
    /// Where it stands in the row, as a JSON pointer.
    place: String,
    keys: Vec<Key>,
    index: BTreeMap<Box<str>, usize>,
    /// The same row where it is a list.
    listed: Option<usize>,
}

/// A key of an object.
pub struct Key {
    /// As records have it.
    text: Box<str>,
    /// Whether it has neither quotes nor backslashes, so that a record has it between quotes as it is.
    is_plain: bool,
    /// The column, or the path of the child table, by the naming convention.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// The object in which it was met last, by the number of its turn.
    pub seen: u64,
    /// The column that its values go to.
    pub column: Option<usize>,
    /// What it holds where its value is an object.
    pub object: Option<usize>,
    /// What the items of its value are where that is a list: the row of the child table.
    pub list: Option<usize>,
}

/// Whose a key is.
#[derive(Clone, Copy, PartialEq)]
pub enum Owner {
    /// The record's.
    Record,
    /// The id of the row.
    RowId,
    /// Ours: the record's value is left out.
    System,
}

impl Layout {
    /// Adds an object that is a row.
    pub fn row(&mut self, table: usize, nesting: u32) -> usize {
        self.push(Object {
            table,
            nesting,
            prefix: String::new(),
            place: String::new(),
            keys: Vec::new(),
            index: BTreeMap::new(),
            listed: None,
        })
    }

    /// A row that is a list, as an object that holds it: unfolding it takes one more of the nesting (as in dlt).
    pub fn listed(&mut self, row: usize) -> usize {
        let Some(found) = self.objects.get(row) else { return row };
        if let Some(listed) = found.listed {
            return listed;
        }
        let listed = self.row(found.table, found.nesting.saturating_sub(1));
        if let Some(found) = self.objects.get_mut(row) {
            found.listed = Some(listed);
        }
        listed
    }

    /// The object at a key of an object.
    pub fn inner(&mut self, object: usize, key: usize) -> usize {
        let (Some(outer), Some(found)) = (self.objects.get(object), self.key(object, key)) else { return object };
        if let Some(inner) = found.object {
            return inner;
        }
        let inner = Object {
            table: outer.table,
            nesting: outer.nesting.saturating_sub(1),
            prefix: format!("{}{SEPARATOR}", found.name),
            place: self.place(object, key),
            keys: Vec::new(),
            index: BTreeMap::new(),
            listed: None,
        };
        let inner = self.push(inner);
        if let Some(key) = self.key_mut(object, key) {
            key.object = Some(inner);
        }
        inner
    }

    fn push(&mut self, object: Object) -> usize {
        self.objects.push(object);
        self.objects.len() - 1
    }

    /// An object.
    pub fn object(&self, object: usize) -> Option<&Object> {
        self.objects.get(object)
    }

    /// A key of an object.
    pub fn key(&self, object: usize, key: usize) -> Option<&Key> {
        self.objects.get(object)?.keys.get(key)
    }

    /// A key of an object, to be changed.
    pub fn key_mut(&mut self, object: usize, key: usize) -> Option<&mut Key> {
        self.objects.get_mut(object)?.keys.get_mut(key)
    }

    /// A key of an object, where a record has it as it is.
    pub fn plain_key(&self, object: usize, key: usize) -> Option<&str> {
        self.key(object, key).filter(|key| key.is_plain).map(|key| &*key.text)
    }

    /// The number of a key of an object. `expected` is where it most likely is.
    pub fn find(&mut self, object: usize, text: &str, expected: usize) -> usize {
        let Some(found) = self.objects.get_mut(object) else { return 0 };
        if found.keys.get(expected).is_some_and(|key| &*key.text == text) {
            return expected;
        }
        match found.index.get(text) {
            Some(at) => *at,
            None => found.add(text),
        }
    }

    /// Where a key stands in its row, as a JSON pointer.
    pub fn place(&self, object: usize, key: usize) -> String {
        let (place, text) = match (self.objects.get(object), self.key(object, key)) {
            (Some(object), Some(key)) => (object.place.as_str(), &*key.text),
            _ => ("", ""),
        };
        format!("{place}/{}", text.replace('~', "~0").replace('/', "~1"))
    }

    /// The keys of a table that were met in or after a turn: object and number.
    pub fn met_since(&self, table: usize, turn: u64) -> impl Iterator<Item = (usize, usize, &Key)> {
        let objects = self.objects.iter().enumerate().filter(move |(_, object)| object.table == table);
        objects.flat_map(move |(at, object)| {
            let keys = object.keys.iter().enumerate().filter(move |(_, key)| key.seen >= turn);
            keys.map(move |(nth, key)| (at, nth, key))
        })
    }

    /// Forgets which columns keys lead to, since some are no longer there.
    pub fn forget_columns(&mut self) {
        self.objects.iter_mut().flat_map(|object| &mut object.keys).for_each(|key| key.column = None);
    }
}

impl Object {
    fn add(&mut self, text: &str) -> usize {
        let name = format!("{}{}", self.prefix, naming::path(text));
        let owner = match System::named(&name) {
            _ if !self.prefix.is_empty() => Owner::Record,
            Some(System::Id) if text == ROW_ID => Owner::RowId,
            Some(_) => Owner::System,
            None => Owner::Record,
        };
        let is_plain = !text.contains(['"', '\\']);
        let key = Key { text: text.into(), is_plain, name, owner, seen: 0, column: None, object: None, list: None };
        self.keys.push(key);
        self.index.insert(text.into(), self.keys.len() - 1);
        self.keys.len() - 1
    }
}
