//! The statements by which the staged rows of a root table and its child tables meet the final rows.
//!
//! A strategy is a list of [`Step`]s; here is the SQL of each, which DuckDB, PostgreSQL (15) and SQLite (3.39) understand alike, and
//! each carries out without a look at every pair of rows: by `IN` and by joins on equal values, never by a subquery for each row.
//! First final rows go, found by the staged ones; then the staged rows are thinned out, in the staging tables themselves, which end
//! with the same transaction; what is left of them is inserted. Final child rows are found by `_dlt_root_id`, the `_dlt_id` of
//! the root row that they stem from, however deep they are; staged ones by [`ROOT`], since several staged root rows may have
//! one id.

use super::{
    PublishedTable, ResourcePlan,
    disposition::{Order, Scd2, Step},
    package::KnownTable,
    staging_table::{ROOT, ROW_ID, SEQUENCE},
};
use crate::{
    destination::{DataType, Session, StoredColumn, Value},
    error::Result,
};

/// A table of the chain: a root table, or a child table at any depth.
pub(super) struct ChainTable<'a> {
    pub known: &'a KnownTable,
    /// Whether the final table comes into being with this publication: then it has no rows.
    pub is_new: bool,
    /// The final table's full name, quoted.
    pub last: String,
    /// The staging table's full name, quoted, where rows were staged in this package.
    pub staged: Option<String>,
    /// The staging table's columns; [`SEQUENCE`] among them, and [`ROOT`] in a child table.
    pub columns: &'a [StoredColumn],
    /// The final table's columns, where the staging table may take its place.
    pub plain: Option<Vec<StoredColumn>>,
}

/// Carries out a plan for one root table (the first of `chain`) and its child tables. `began` is when the load did, in microseconds since
/// 1970. Gives the counts in the order of `chain`.
pub(super) fn merge(
    session: &mut Session,
    chain: &[ChainTable<'_>],
    plan: &ResourcePlan,
    began: i64,
) -> Result<Vec<PublishedTable>> {
    let Some((root, children)) = chain.split_first() else { return Ok(Vec::new()) };
    let mut meeting = Meeting {
        session,
        root,
        children,
        began,
        counts: vec![Counts::default(); chain.len()],
        thinned: vec![false; chain.len()],
    };
    for step in plan.steps() {
        meeting.carry_out(step)?;
    }
    let Meeting { counts, .. } = meeting;
    let mut published = Vec::new();
    for (table, counts) in chain.iter().zip(counts) {
        let total = count(session, &table.last)?;
        published.push(PublishedTable {
            table: table.known.table.clone(),
            resource: table.known.resource.clone(),
            parent: table.known.parent.clone(),
            inserted: counts.inserted,
            deleted: counts.deleted,
            duplicates: counts.duplicates,
            total,
        });
    }
    Ok(published)
}

impl ChainTable<'_> {
    /// The final table's columns, where the staging table can take its place: it has the same ones in the same order, beside those that
    /// only a staging table has.
    fn takes_the_place(&self) -> Option<&[StoredColumn]> {
        let stored = self.plain.as_deref()?;
        let columns = self.columns.iter().filter(|column| !is_of_staging(&column.name));
        let same =
            |(one, other): (&StoredColumn, &StoredColumn)| (&one.name, &one.declared) == (&other.name, &other.declared);
        (columns.clone().count() == stored.len() && columns.zip(stored).all(same)).then_some(stored)
    }
}

/// Whether only a staging table has a column.
fn is_of_staging(column: &str) -> bool {
    [SEQUENCE, ROOT].contains(&column)
}

fn count(session: &mut Session, table: &str) -> Result<u64> {
    let rows = session.query(&format!("SELECT count(*) FROM {table}"), &[])?;
    let count = rows.first().and_then(|rows| crate::destination::bigint(rows, 0, 0)).unwrap_or(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

fn is_empty(session: &mut Session, table: &str) -> Result<bool> {
    let rows = session.query(&format!("SELECT 1 FROM {table} LIMIT 1"), &[])?;
    Ok(rows.iter().all(|rows| rows.num_rows() == 0))
}

/// Makes the staging table the final one, which has no rows: so none is written twice. Gives the number of rows.
fn put_in_place(session: &mut Session, table: &ChainTable<'_>, staged: &str, stored: &[StoredColumn]) -> Result<u64> {
    session.run(&format!("DROP TABLE {}", table.last), &[])?;
    for column in table.columns {
        let quoted = session.dialect().quote(&column.name);
        let change = match stored.iter().find(|stored| stored.name == column.name) {
            None => format!("DROP COLUMN {quoted}"),
            Some(stored) if stored.nullable == column.nullable => continue,
            Some(stored) => format!("ALTER COLUMN {quoted} {} NOT NULL", if stored.nullable { "DROP" } else { "SET" }),
        };
        session.run(&format!("ALTER TABLE {staged} {change}"), &[])?;
    }
    let name = session.dialect().quote(&table.known.table);
    session.run(&format!("ALTER TABLE {staged} RENAME TO {name}"), &[])?;
    count(session, &table.last)
}

#[derive(Clone, Copy, Default)]
struct Counts {
    inserted: u64,
    deleted: u64,
    duplicates: u64,
}

/// Staged rows that meet final ones.
struct Meeting<'m> {
    session: &'m mut Session,
    root: &'m ChainTable<'m>,
    children: &'m [ChainTable<'m>],
    began: i64,
    /// Of the root table, and of each child table.
    counts: Vec<Counts>,
    /// Whether staged rows were left out, likewise.
    thinned: Vec<bool>,
}

impl Meeting<'_> {
    fn carry_out(&mut self, step: Step<'_>) -> Result<()> {
        let last = &self.root.last;
        if let Step::Insert(scd2) = step {
            return self.insert(scd2);
        }
        if let Step::Empty = step {
            return self.empty();
        }
        // Where no root row is staged, no other step has anything to do.
        let Some(staged) = &self.root.staged else { return Ok(()) };
        match step {
            Step::Empty | Step::Insert(_) => Ok(()),
            Step::Delete(key) => {
                let matched = self.among("f", key, "s", staged);
                self.delete(&matched)
            }
            Step::Retire(scd2) => self.retire(scd2, staged),
            Step::Deduplicate(by, sorted) => self.leave_out_duplicates(&self.surplus(&by, sorted, staged)),
            Step::LeaveOutOlder(key, (column, order)) => match self.column(column) {
                None => Ok(()),
                Some(_) => {
                    let (same, column) = (self.same("o", "f", key), self.quote(column));
                    let before = if matches!(order, Order::Ascending) { "<" } else { ">" };
                    self.leave_out_duplicates(&format!(
                        "\"{SEQUENCE}\" IN (SELECT o.\"{SEQUENCE}\" FROM {staged} AS o JOIN {last} AS f ON {same} \
                         WHERE f.{column} {before} o.{column} OR (f.{column} IS NOT NULL AND o.{column} IS NULL))"
                    ))
                }
            },
            Step::LeaveOutDeleted(column) => match self.column(column) {
                None => Ok(()),
                Some(stored) => {
                    let is_flag = self.session.dialect().data_type(&stored.declared) == Some(DataType::Boolean);
                    let means = if is_flag { "= TRUE" } else { "IS NOT NULL" };
                    let deleted = format!("{} {means}", self.quote(column));
                    self.leave_out(&deleted, &[]).map(drop)
                }
            },
            Step::LeaveOutKnown(key) => {
                let known = self.among("s", key, "f", last);
                self.leave_out(&known, &[]).map(drop)
            }
            Step::LeaveOutValid(scd2) => {
                let (is_valid, value) = self.is_valid(scd2, 1);
                let version = self.quote(&scd2.row_version);
                let valid = format!("s.{version} IN (SELECT f.{version} FROM {last} AS f WHERE {is_valid})");
                self.leave_out(&valid, &value)?;
                self.leave_out_known_children()
            }
        }
    }

    fn empty(&mut self) -> Result<()> {
        let tables = std::iter::once(self.root).chain(self.children);
        for (table, counts) in tables.zip(&mut self.counts).filter(|(table, _)| !table.is_new) {
            counts.deleted += self.session.run(&format!("DELETE FROM {}", table.last), &[])?;
        }
        Ok(())
    }

    /// Deletes the final root rows `f` for which a condition holds. Child rows go first: they are found by root rows that are still
    /// there.
    fn delete(&mut self, matched: &str) -> Result<()> {
        let Self { session, root, children, counts, .. } = self;
        if root.is_new {
            return Ok(());
        }
        let Some((of_root, of_children)) = counts.split_first_mut() else { return Ok(()) };
        for (child, counts) in children.iter().zip(of_children) {
            let sql = format!(
                "DELETE FROM {} WHERE \"_dlt_root_id\" IN (SELECT f.\"{ROW_ID}\" FROM {} AS f WHERE {matched})",
                child.last, root.last
            );
            counts.deleted += session.run(&sql, &[])?;
        }
        of_root.deleted += session.run(&format!("DELETE FROM {} AS f WHERE {matched}", root.last), &[])?;
        Ok(())
    }

    fn retire(&mut self, scd2: &Scd2, staged: &str) -> Result<()> {
        let (is_valid, value) = self.is_valid(scd2, 2);
        let version = self.quote(&scd2.row_version);
        let is_there = match scd2.merge_key.as_slice() {
            [] => String::new(),
            key => format!(" AND {}", self.among("f", key, "s", staged)),
        };
        let sql = format!(
            "UPDATE {last} AS f SET {} = $1 WHERE {is_valid} AND f.{version} IN (SELECT g.{version} FROM {last} AS g \
             LEFT JOIN {staged} AS s ON s.{version} = g.{version} WHERE s.{version} IS NULL){is_there}",
            self.quote(&scd2.valid_to),
            last = self.root.last,
        );
        let values: Vec<_> = [Value::Timestamp(scd2.boundary.unwrap_or(self.began))].into_iter().chain(value).collect();
        self.session.run(&sql, &values).map(drop)
    }

    /// Leaves out staged root rows `s` for which a condition holds, with all rows under them. Gives how many those are, in the order of
    /// the chain.
    fn leave_out(&mut self, condition: &str, values: &[Value<'_>]) -> Result<Vec<u64>> {
        let mut left_out = vec![0; self.counts.len()];
        let Some(staged) = &self.root.staged else { return Ok(left_out) };
        let Some((of_root, of_children)) = left_out.split_first_mut() else { return Ok(Vec::new()) };
        *of_root = self.session.run(&format!("DELETE FROM {staged} AS s WHERE {condition}"), values)?;
        if *of_root == 0 {
            return Ok(left_out);
        }
        for (child, count) in self.children.iter().zip(of_children) {
            let Some(of_child) = &child.staged else { continue };
            let sql = format!(
                "DELETE FROM {of_child} WHERE \"{ROOT}\" IN (SELECT c.\"{ROOT}\" FROM {of_child} AS c \
                 LEFT JOIN {staged} AS s ON s.\"{SEQUENCE}\" = c.\"{ROOT}\" WHERE s.\"{SEQUENCE}\" IS NULL)"
            );
            *count = self.session.run(&sql, &[])?;
        }
        for (thinned, count) in self.thinned.iter_mut().zip(&left_out) {
            *thinned |= *count > 0;
        }
        Ok(left_out)
    }

    /// Likewise, and counts them.
    fn leave_out_duplicates(&mut self, condition: &str) -> Result<()> {
        let duplicates = self.leave_out(condition, &[])?;
        for (counts, duplicates) in self.counts.iter_mut().zip(duplicates) {
            counts.duplicates += duplicates;
        }
        Ok(())
    }

    /// A version that begins anew has the rows of child tables that it had before.
    fn leave_out_known_children(&mut self) -> Result<()> {
        for (child, thinned) in self.children.iter().zip(self.thinned.iter_mut().skip(1)) {
            let Some(staged) = &child.staged else { continue };
            let sql =
                format!("DELETE FROM {staged} WHERE \"{ROW_ID}\" IN (SELECT f.\"{ROW_ID}\" FROM {} AS f)", child.last);
            *thinned |= self.session.run(&sql, &[])? > 0;
        }
        Ok(())
    }

    fn insert(&mut self, scd2: Option<&Scd2>) -> Result<()> {
        let tables = std::iter::once(self.root).chain(self.children);
        for ((table, counts), thinned) in tables.zip(&mut self.counts).zip(&self.thinned) {
            let Some(staged) = &table.staged else { continue };
            let scd2 = scd2.filter(|_| table.known.parent.is_none());
            if scd2.is_none()
                && !thinned
                && let Some(stored) = table.takes_the_place()
                && (table.is_new || is_empty(self.session, &table.last)?)
            {
                counts.inserted += put_in_place(self.session, table, staged, stored)?;
                continue;
            }
            let quote = |name: &str| self.session.dialect().quote(name);
            let is_ours = |name: &str| scd2.is_some_and(|scd2| name == scd2.valid_from || name == scd2.valid_to);
            let columns = table.columns.iter().map(|column| column.name.as_str());
            let mut columns: Vec<String> =
                columns.filter(|name| !is_of_staging(name) && !is_ours(name)).map(quote).collect();
            let (mut selected, mut values) = (columns.clone(), Vec::new());
            if let Some(scd2) = scd2 {
                let instants =
                    [(&scd2.valid_from, Some(scd2.boundary.unwrap_or(self.began))), (&scd2.valid_to, scd2.active)];
                for (name, instant) in instants {
                    let Some(instant) = instant else { continue };
                    values.push(Value::Timestamp(instant));
                    columns.push(quote(name));
                    selected.push(format!("${}", values.len()));
                }
            }
            let (columns, selected) = (columns.join(", "), selected.join(", "));
            let sql = format!("INSERT INTO {} ({columns}) SELECT {selected} FROM {staged}", table.last);
            counts.inserted += self.session.run(&sql, &values)?;
        }
        Ok(())
    }

    /// A condition: the staged root row `s` is not the one that is kept of those with the same values in some columns.
    fn surplus(&self, by: &[&str], sorted: Option<(&str, Order)>, staged: &str) -> String {
        let by: Vec<_> = by.iter().map(|column| self.quote(column)).collect();
        let same: Vec<_> = by.iter().map(|column| format!("o.{column} = n.{column}")).collect();
        let (by, same) = (by.join(", "), same.join(" AND "));
        // A column that no record of the run has leaves all rows alike.
        let Some((column, order)) = sorted.filter(|(column, _)| self.column(column).is_some()) else {
            return format!(
                "\"{SEQUENCE}\" IN (SELECT o.\"{SEQUENCE}\" FROM {staged} AS o JOIN (SELECT {by}, max(\"{SEQUENCE}\") AS kept \
                 FROM {staged} GROUP BY {by} HAVING count(*) > 1) AS n ON {same} WHERE o.\"{SEQUENCE}\" <> n.kept)"
            );
        };
        let (column, order) = (self.quote(column), if matches!(order, Order::Ascending) { "ASC" } else { "DESC" });
        // Databases differ in where nulls stand.
        format!(
            "\"{SEQUENCE}\" IN (SELECT n.\"{SEQUENCE}\" FROM (SELECT \"{SEQUENCE}\", ROW_NUMBER() OVER (PARTITION BY {by} \
             ORDER BY CASE WHEN {column} IS NULL THEN 1 ELSE 0 END, {column} {order}, \"{SEQUENCE}\" DESC) AS nth \
             FROM {staged}) AS n WHERE n.nth > 1)"
        )
    }

    /// A condition: two rows have the same values in some columns.
    fn same(&self, one: &str, other: &str, columns: &[String]) -> String {
        let columns = columns.iter().map(|column| self.quote(column));
        columns.map(|column| format!("{one}.{column} = {other}.{column}")).collect::<Vec<_>>().join(" AND ")
    }

    /// A condition: some row of a table has the values of the row `one` in some columns.
    fn among(&self, one: &str, columns: &[String], other: &str, table: &str) -> String {
        let of = |row: &str| {
            let columns = columns.iter().map(|column| format!("{row}.{}", self.quote(column)));
            columns.collect::<Vec<_>>().join(", ")
        };
        let (these, those) = (of(one), of(other));
        let these = if columns.len() == 1 { these } else { format!("({these})") };
        format!("{these} IN (SELECT {those} FROM {table} AS {other})")
    }

    /// A condition: the final row `f` is a valid version. With the value, if any, of its parameter `$nth`.
    fn is_valid(&self, scd2: &Scd2, nth: usize) -> (String, Vec<Value<'static>>) {
        let valid_to = self.quote(&scd2.valid_to);
        match scd2.active {
            None => (format!("f.{valid_to} IS NULL"), Vec::new()),
            Some(active) => (format!("f.{valid_to} = ${nth}"), vec![Value::Timestamp(active)]),
        }
    }

    /// A column of the staged root rows.
    fn column(&self, name: &str) -> Option<&StoredColumn> {
        self.root.columns.iter().find(|column| column.name == name)
    }

    fn quote(&self, name: &str) -> String {
        self.session.dialect().quote(name)
    }
}
