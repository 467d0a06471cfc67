//! Reads a record, and puts its values where they belong.

use super::cell::{Fit, Scalar};
use super::changes::ChangeKind;
use super::contract::frozen;
use super::cursor::{Cursor, LIST, Next, OBJECT};
use super::identity::Id;
use super::layout::Owner;
use super::lineage::Lineage;
use super::naming::SEPARATOR;
use super::schema::DataType;
use super::system::{ROW_ID, System};
use super::table::{Put, TableBuilder};
use super::{Added, Shaper, Target, changes};
use crate::config::model::{ContractMode, OnCollision};
use crate::error::{Error, Kind};

/// What holds the items of a list within a list.
const INNER_LIST: &str = "list";

/// What holds a scalar that is a row.
pub const VALUE: &str = "value";

/// How often a variant may have a variant.
const MOST_VARIANTS: usize = 3;

/// Why a record could not be read to its end.
pub enum Stop {
    /// It is to be read once more, each of its keys but once.
    Again,
    /// The run fails.
    Failed(Box<Error>),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

type Result<T> = std::result::Result<T, Stop>;

/// The reading of one record.
pub struct Walk<'s> {
    shaper: &'s mut Shaper,
    target: &'s Target,
    text: &'s str,
    bytes: usize,
}

/// The row that is being filled.
struct Row {
    table: usize,
    /// Its place in the lineage.
    place: usize,
    /// Its turn: objects with a later one belong to it.
    turn: u64,
    /// Why the contract leaves it out: the column, and the value.
    dropped: Option<(String, String)>,
    /// The turns of the objects that lead to where its reading is.
    turns: Vec<u64>,
}

/// Where a row that is left out begins: a place in the marks, and in the report.
#[derive(Clone, Copy)]
struct Begin(usize, usize);

impl<'s> Walk<'s> {
    /// Begins with a record.
    pub fn new(shaper: &'s mut Shaper, target: &'s Target, record: &'s str) -> Self {
        Self { shaper, target, text: record, bytes: 0 }
    }

    /// The rows of the record. `root` is the object of root rows; the marks are those of all tables before it.
    pub fn record(mut self, root: usize, id: Id) -> Result<Added> {
        let mut input = Cursor::new(self.text);
        let next = input.peek()?;
        let mut row = self.row(root, |lineage, table| lineage.root(table, id))?;
        self.fill(&mut input, next, root, &mut row, VALUE)?;
        input.finish()?;
        let is_kept = self.end(&row, Begin(0, 0))?;
        if is_kept {
            let Shaper { tables, load_id, lineage, .. } = &mut *self.shaper;
            let table = tables.get_mut(row.table).ok_or_else(lost)?;
            self.bytes += table.put_load_id(load_id)?;
            table.expect_id(System::Id)?;
            self.bytes += lineage.id_bytes(row.place);
            table.end_row()?;
        }
        Ok(Added { is_kept, bytes: self.bytes })
    }

    fn row(&mut self, object: usize, begin: impl FnOnce(&mut Lineage, usize) -> usize) -> Result<Row> {
        self.shaper.turn += 1;
        let table = self.shaper.layout.object(object).ok_or_else(lost)?.table;
        self.shaper.tables.get_mut(table).ok_or_else(lost)?.is_open = true;
        let place = begin(&mut self.shaper.lineage, table);
        Ok(Row { table, place, turn: self.shaper.turn, dropped: None, turns: Vec::new() })
    }

    /// Whether a row is kept; else all that came with it is taken out again.
    fn end(&mut self, row: &Row, begin: Begin) -> Result<bool> {
        self.shaper.tables.get_mut(row.table).ok_or_else(lost)?.is_open = false;
        let Some((column, sample)) = &row.dropped else { return Ok(true) };
        self.shaper.rewind(begin.0, begin.1, row.place);
        self.count(row.table, Some(column), ChangeKind::DiscardedRow, || sample.clone())?;
        Ok(false)
    }

    /// Puts a value into a row that it is. `list` is the key of its items where it is a list.
    fn fill(&mut self, input: &mut Cursor<'_>, next: Next, object: usize, row: &mut Row, list: &str) -> Result<()> {
        if next == Next::Object {
            return self.object(input, object, row);
        }
        let layout = &mut self.shaper.layout;
        let (object, key) = match next {
            Next::List if list == INNER_LIST => (layout.listed(object), list),
            Next::List => (object, list),
            _ => (object, VALUE),
        };
        let key = layout.find(object, key, 0);
        self.value(input, next, object, key, row)
    }

    fn object(&mut self, input: &mut Cursor<'_>, object: usize, row: &mut Row) -> Result<()> {
        self.shaper.turn += 1;
        let turn = self.shaper.turn;
        row.turns.push(turn);
        let mut expected = 0;
        let mut more = input.enter(OBJECT);
        while more {
            let layout = &mut self.shaper.layout;
            let at = match layout.plain_key(object, expected) {
                Some(key) if input.takes_key(key) => expected,
                _ => layout.find(object, input.key()?, expected),
            };
            input.colon()?;
            expected = at + 1;
            let found = self.shaper.layout.key_mut(object, at).ok_or_else(lost)?;
            if found.seen == turn {
                return Err(Stop::Again);
            }
            found.seen = turn;
            let next = input.peek()?;
            self.value(input, next, object, at, row)?;
            more = input.step(OBJECT)?;
        }
        row.turns.pop();
        Ok(())
    }

    /// The value of a key.
    #[inline(always)]
    fn value(&mut self, input: &mut Cursor<'_>, next: Next, object: usize, key: usize, row: &mut Row) -> Result<()> {
        let scalar = match next {
            Next::Null => return input.word("null").map(drop),
            Next::True => input.word("true").map(|_| Scalar::Boolean(true))?,
            Next::False => input.word("false").map(|_| Scalar::Boolean(false))?,
            Next::Text => Scalar::Text(input.text()?),
            Next::Number => Scalar::Number(input.number()),
            Next::Object | Next::List if self.unfolds(object, key, row.table)? => {
                if next == Next::List {
                    return self.list(input, object, key, row);
                }
                let inner = self.shaper.layout.inner(object, key);
                return self.object(input, inner, row);
            }
            Next::Object | Next::List => Scalar::Json(input.skip()?),
        };
        self.put(object, key, scalar, row)
    }

    /// Whether an object or a list at a key becomes columns or rows. What goes to a JSON column does not.
    fn unfolds(&mut self, object: usize, key: usize, table: usize) -> Result<bool> {
        let Shaper { layout, tables, .. } = &mut *self.shaper;
        let nesting = layout.object(object).ok_or_else(lost)?.nesting;
        let found = layout.key_mut(object, key).ok_or_else(lost)?;
        if found.object.is_some() || found.list.is_some() {
            return Ok(true);
        }
        if nesting == 0 || found.owner != Owner::Record {
            return Ok(false);
        }
        let table = tables.get(table).ok_or_else(lost)?;
        let column = found.column.or_else(|| table.find(&found.name)).and_then(|column| table.column(column));
        Ok(column.is_none_or(|column| column.data_type != DataType::Json))
    }

    /// The rows of a list, with the rows below them.
    fn list(&mut self, input: &mut Cursor<'_>, object: usize, key: usize, row: &mut Row) -> Result<()> {
        if !input.enter(LIST) {
            return Ok(());
        }
        let Some(items) = self.items(object, key, row.table)? else {
            return self.leave_out_list(input, object, key, row.table);
        };
        let table = self.shaper.layout.object(items).ok_or_else(lost)?.table;
        let child = self.shaper.tables.get_mut(table).ok_or_else(lost)?;
        if std::mem::replace(&mut child.list_of, row.turn) == row.turn {
            return Err(self.collision(object, key, row, None));
        }
        let may_drop = self.target.contract.discards_rows();
        let mut index = 0;
        loop {
            let begin = Begin(self.shaper.marks.len(), self.shaper.changes.mark());
            if may_drop {
                let Shaper { marks, tables, .. } = &mut *self.shaper;
                marks.extend(tables.iter().map(TableBuilder::mark));
            }
            let mut item = self.row(items, |lineage, table| lineage.child(table, row.place, index))?;
            let next = input.peek()?;
            self.fill(input, next, items, &mut item, INNER_LIST)?;
            let is_kept = self.end(&item, begin)?;
            self.shaper.marks.truncate(begin.0);
            if is_kept {
                // A table that has the column already keeps it (as in dlt): it is not nullable.
                let Shaper { tables, lineage, .. } = &mut *self.shaper;
                let child = tables.get_mut(table).ok_or_else(lost)?;
                if self.target.write_disposition.has_root_ids() || child.has_root_ids() {
                    child.expect_id(System::RootId)?;
                    self.bytes += lineage.id_bytes(lineage.root_of(row.place));
                }
                child.expect_id(System::ParentId)?;
                self.bytes += lineage.id_bytes(row.place);
                self.bytes += child.put_index(index)?;
                child.expect_id(System::Id)?;
                self.bytes += lineage.id_bytes(item.place);
                child.end_row()?;
            }
            index += 1;
            if !input.step(LIST)? {
                return Ok(());
            }
        }
    }

    /// The object of a child table's rows; none where the contract does not admit the table.
    fn items(&mut self, object: usize, key: usize, table: usize) -> Result<Option<usize>> {
        let found = self.shaper.layout.key(object, key).ok_or_else(lost)?;
        if found.list.is_some() {
            return Ok(found.list);
        }
        let parent = self.shaper.tables.get(table).ok_or_else(lost)?.name.clone();
        let mut name = format!("{parent}{SEPARATOR}{}", found.name);
        let mut owner = None;
        if self.target.on_collision == OnCollision::Suffix {
            let place = self.shaper.layout.place(object, key);
            let owns = |name: &str| self.shaper.owner_of(name).is_none_or(|owner| owner.as_ref() == Some(&place));
            name = suffixed(&name, owns);
            owner = Some(place);
        }
        let is_new = !self.shaper.index.contains_key(&name) && !self.shaper.known.tables.contains_key(&name);
        if is_new && self.target.contract.tables != ContractMode::Evolve && !self.is_first_load() {
            return Ok(None);
        }
        let at = self.shaper.table(&name, &self.target.resource, Some(&parent));
        if let Some(made) = self.shaper.tables.get_mut(at).filter(|made| owner.is_some() && made.key.is_none()) {
            made.key = owner;
        }
        let nesting = self.shaper.layout.object(object).map_or(0, |object| object.nesting).saturating_sub(1);
        let items = self.shaper.layout.row(at, nesting);
        self.shaper.layout.key_mut(object, key).ok_or_else(lost)?.list = Some(items);
        Ok(Some(items))
    }

    /// Whether this load made the root table.
    fn is_first_load(&self) -> bool {
        let root = self.shaper.index.get(&self.target.table).and_then(|at| self.shaper.tables.get(*at));
        root.is_none_or(|root| root.load == self.shaper.load_id)
    }

    /// A list for which there is no table, and may be none.
    #[cold]
    fn leave_out_list(&mut self, input: &mut Cursor<'_>, object: usize, key: usize, table: usize) -> Result<()> {
        let found = self.shaper.layout.key(object, key).ok_or_else(lost)?;
        let parent = self.shaper.tables.get(table).ok_or_else(lost)?;
        let name = format!("{}{SEPARATOR}{}", parent.name, found.name);
        let resource = &self.target.resource;
        loop {
            let item = Scalar::Json(input.skip()?);
            if self.target.contract.tables == ContractMode::Freeze {
                let what = format!("the table `{name}` is new");
                let sample = changes::shown(&item.to_json());
                return Err(frozen(what, "tables", &sample, &self.target.pointer).into());
            }
            let entry = self.shaper.changes.entry(resource, &name, None, ChangeKind::DiscardedRow);
            self.shaper.changes.count(entry, || item.to_json());
            if !input.step(LIST)? {
                return Ok(());
            }
        }
    }

    /// Puts a value into its column, or where it does not fit into its variant.
    #[inline(always)]
    fn put(&mut self, object: usize, key: usize, value: Scalar<'_>, row: &mut Row) -> Result<()> {
        let found = self.shaper.layout.key(object, key).ok_or_else(lost)?;
        match found.owner {
            Owner::Record => {}
            Owner::RowId => {
                if let Scalar::Text(id) = value {
                    self.shaper.lineage.give(row.place, id);
                    return Ok(());
                }
                return self.count(row.table, Some(ROW_ID), ChangeKind::DiscardedValue, || value.to_json());
            }
            Owner::System => {
                let name = found.name.clone();
                return self.count(row.table, Some(&name), ChangeKind::DiscardedValue, || value.to_json());
            }
        }
        let column = match found.column {
            Some(column) => column,
            None => match self.column(object, key, value, row)? {
                Some(column) => column,
                None => return Ok(()),
            },
        };
        let table = self.shaper.tables.get_mut(row.table).ok_or_else(lost)?;
        match table.put(column, value) {
            Put::Done(Fit::AsIs, bytes) => self.bytes += bytes,
            Put::Done(fit, bytes) => {
                self.bytes += bytes;
                // A conversion that the configuration asks for is none to tell, unless something is lost.
                let is_asked = table.column(column).is_some_and(|column| column.is_hinted);
                if fit == Fit::Lossy || !is_asked {
                    self.count_of(row.table, column, ChangeKind::Coerced, value)?;
                }
            }
            Put::Taken => return Err(self.collision(object, key, row, Some(column))),
            Put::Misfit => self.misfit(object, key, column, value, row)?,
        }
        Ok(())
    }

    /// The column of a key, which is made where there is none; none where the contract does not admit it.
    fn column(&mut self, object: usize, key: usize, value: Scalar<'_>, row: &mut Row) -> Result<Option<usize>> {
        let Shaper { layout, tables, load_id, .. } = &mut *self.shaper;
        let place = layout.place(object, key);
        let found = layout.key_mut(object, key).ok_or_else(lost)?;
        let table = tables.get_mut(row.table).ok_or_else(lost)?;
        let has_owners = self.target.on_collision == OnCollision::Suffix;
        let mut name = found.name.clone();
        if has_owners {
            let owns = |name: &str| {
                let column = table.find(name).and_then(|at| table.column(at));
                column.is_none_or(|column| column.key.as_ref().is_none_or(|key| *key == place))
            };
            name = suffixed(&name, owns);
        }
        let at = match table.find(&name) {
            Some(at) => at,
            None => {
                if table.load != *load_id {
                    let what = format!("the column `{name}` of `{}` is new", table.name);
                    if !self.admits(self.target.contract.columns, "columns", &name, what, value, row)? {
                        return Ok(None);
                    }
                }
                let Shaper { tables, .. } = &mut *self.shaper;
                let table = tables.get_mut(row.table).ok_or_else(lost)?;
                table.add_fresh(name, value.infer(), &row.turns)?
            }
        };
        let Shaper { layout, tables, .. } = &mut *self.shaper;
        if has_owners && let Some(table) = tables.get_mut(row.table) {
            table.claim(at, place)?;
        }
        layout.key_mut(object, key).ok_or_else(lost)?.column = Some(at);
        Ok(Some(at))
    }

    /// A value that is none of its column's type.
    #[cold]
    fn misfit(&mut self, object: usize, key: usize, column: usize, value: Scalar<'_>, row: &mut Row) -> Result<()> {
        let table = self.shaper.tables.get(row.table).ok_or_else(lost)?;
        let of = table.column(column).ok_or_else(lost)?;
        let base = of.name.clone();
        let what = format!("a value does not fit the column `{base}` of `{}`, which is {}", table.name, of.data_type);
        let mode = self.target.contract.data_type;
        let is_fraction = value.plain_type() == DataType::Double;
        let is_wide = is_fraction && of.data_type == DataType::Bigint && !of.is_hinted;
        if self.target.widen && is_wide {
            if self.admits(mode, "data_type", &base, what, value, row)? {
                let table = self.shaper.tables.get_mut(row.table).ok_or_else(lost)?;
                table.widen(column)?;
                return self.put(object, key, value, row);
            }
            return Ok(());
        }
        let mut name = base.clone();
        for _ in 0..MOST_VARIANTS {
            name = format!("{name}__v_{}", value.plain_type().name());
            let table = self.shaper.tables.get_mut(row.table).ok_or_else(lost)?;
            let at = match table.find(&name) {
                Some(at) => at,
                None if !self.admits(mode, "data_type", &base, what.clone(), value, row)? => return Ok(()),
                None => {
                    let table = self.shaper.tables.get_mut(row.table).ok_or_else(lost)?;
                    table.add_fresh(name.clone(), value.plain_type(), &row.turns)?
                }
            };
            let table = self.shaper.tables.get_mut(row.table).ok_or_else(lost)?;
            match table.put(at, value) {
                Put::Done(_, bytes) => {
                    self.bytes += bytes;
                    return self.count_of(row.table, at, ChangeKind::Variant, value);
                }
                Put::Taken => return Err(self.collision(object, key, row, Some(at))),
                // A field of this name was there before.
                Put::Misfit => {}
            }
        }
        Err(Error::new(Kind::Schema, format!("{what}, nor any of its variants")).into())
    }

    /// Whether something new is taken in. Where it is not, its value or its row is left out, or the run fails.
    fn admits(
        &mut self,
        mode: ContractMode,
        entity: &str,
        column: &str,
        what: String,
        value: Scalar<'_>,
        row: &mut Row,
    ) -> Result<bool> {
        match mode {
            ContractMode::Evolve => return Ok(true),
            ContractMode::Freeze => {
                let sample = changes::shown(&value.to_json());
                return Err(frozen(what, entity, &sample, &self.target.pointer).into());
            }
            ContractMode::DiscardRow => {
                row.dropped.get_or_insert_with(|| (column.to_owned(), value.to_json()));
            }
            ContractMode::DiscardValue => {
                self.count(row.table, Some(column), ChangeKind::DiscardedValue, || value.to_json())?;
            }
        }
        Ok(false)
    }

    /// Counts what became of a value.
    fn count(
        &mut self,
        table: usize,
        column: Option<&str>,
        kind: ChangeKind,
        sample: impl FnOnce() -> String,
    ) -> Result<()> {
        let name = &self.shaper.tables.get(table).ok_or_else(lost)?.name;
        let entry = self.shaper.changes.entry(&self.target.resource, name, column, kind);
        self.shaper.changes.count(entry, sample);
        Ok(())
    }

    /// Counts what became of a value, whose column remembers where it is counted.
    fn count_of(&mut self, table: usize, column: usize, kind: ChangeKind, value: Scalar<'_>) -> Result<()> {
        let Shaper { tables, changes, .. } = &mut *self.shaper;
        let table = tables.get_mut(table).ok_or_else(lost)?;
        let entry =
            table.entry(column, kind, |table, column| changes.entry(&self.target.resource, table, Some(column), kind));
        changes.count(entry?, || value.to_json());
        Ok(())
    }

    /// The error of two keys of one record that have one column, or one child table where no column is given.
    #[cold]
    fn collision(&self, object: usize, key: usize, row: &Row, column: Option<usize>) -> Stop {
        let Shaper { layout, tables, .. } = &*self.shaper;
        let name = layout.key(object, key).map_or("", |key| key.name.as_str());
        let mut met = layout.met_since(row.table, row.turn).filter(|(other, nth, _)| (*other, *nth) != (object, key));
        let other = met.find(|(_, _, other)| match column {
            Some(column) => other.column == Some(column),
            None => other.name == name && other.list.is_some(),
        });
        let shown = |place: String| place.trim_start_matches('/').to_owned();
        let this = shown(layout.place(object, key));
        let other = other.map_or_else(|| this.clone(), |(object, key, _)| shown(layout.place(object, key)));
        let table = tables.get(row.table);
        let of = table.map_or("", |table| table.name.as_str());
        let what = match column.and_then(|column| table?.column(column)) {
            Some(column) => format!("the column `{}` of `{of}`", column.name),
            None => format!("the table `{of}{SEPARATOR}{name}`"),
        };
        Error::new(Kind::Schema, format!("the keys `{other}` and `{this}` of one record both become {what}"))
            .advice(
                "write `on_collision: suffix` to give each its own, or rename one with `processing_steps: [{map: {rename: …}}]`",
            )
            .into()
    }
}

/// The first of a name and its numbered forms that may be used.
fn suffixed(name: &str, is_free: impl Fn(&str) -> bool) -> String {
    if is_free(name) {
        return name.to_owned();
    }
    let forms = (2_u64..).map(|nth| format!("{name}_{nth}"));
    forms.into_iter().find(|form| is_free(form)).unwrap_or_default()
}

fn lost() -> Error {
    Error::new(Kind::Internal, "what a key leads to is lost")
}
