//! The statements by which the staged rows of a root table and its child tables meet the final rows.
//!
//! All of it is SQL that every database understands. Child tables carry `_dlt_root_id`, the `_dlt_id` of the root row that
//! they stem from, so that a root row takes its children along however deep they are (dlt's `delete-insert`).

use super::{PublishedTable, WriteDisposition, package::KnownTable, staging_table::SEQUENCE};
use crate::{
    destination::{Session, StoredColumn},
    error::Result,
};

/// A table of the chain: a root table, or a child table at any depth.
pub(super) struct ChainTable<'a> {
    pub known: &'a KnownTable,
    /// The final table's full name, quoted.
    pub last: String,
    /// The staging table's full name, quoted, where rows were staged in this package.
    pub staged: Option<String>,
    /// The staging table's columns; [`SEQUENCE`] among them.
    pub columns: &'a [StoredColumn],
}

/// Deletes what the staged rows replace and inserts them, for one root table (the first of `chain`) and its child tables.
/// Merge without a key appends. Gives the counts in the order of `chain`.
pub(super) fn merge(
    session: &mut Session,
    chain: &[ChainTable<'_>],
    write_disposition: WriteDisposition,
    key: &[String],
) -> Result<Vec<PublishedTable>> {
    let Some((root, children)) = chain.split_first() else { return Ok(Vec::new()) };
    let plan = match write_disposition {
        WriteDisposition::Append => Plan::Append,
        WriteDisposition::Replace => Plan::Replace,
        WriteDisposition::Merge if key.is_empty() => Plan::Append,
        WriteDisposition::Merge => match &root.staged {
            Some(staged) => Plan::Merge(Key::new(session, staged, key)),
            // No root row, no child row: nothing to do.
            None => Plan::Append,
        },
    };
    // Children first: they are found by root rows that are still there.
    let mut deleted = Vec::new();
    for table in children.iter().chain([root]) {
        deleted.push(match plan.delete(root, table) {
            Some(sql) => session.run(&sql, &[])?,
            None => 0,
        });
    }
    deleted.rotate_right(1);
    let mut published = Vec::new();
    for (table, deleted) in chain.iter().zip(deleted) {
        let inserted = match plan.insert(session, root, table) {
            Some(sql) => session.run(&sql, &[])?,
            None => 0,
        };
        let rows = session.query(&format!("SELECT count(*) FROM {}", table.last), &[])?;
        let total = rows.first().and_then(|rows| crate::destination::bigint(rows, 0, 0)).unwrap_or(0);
        published.push(PublishedTable {
            table: table.known.table.clone(),
            resource: table.known.resource.clone(),
            parent: table.known.parent.clone(),
            inserted,
            deleted,
            total: u64::try_from(total).unwrap_or(0),
        });
    }
    Ok(published)
}

enum Plan {
    Append,
    Replace,
    Merge(Key),
}

/// The pieces of SQL that speak of a key.
struct Key {
    /// A condition: the root row `f` has the key of a staged row.
    matched: String,
    /// A query: the numbers of the staged rows to keep, the last one of each key.
    kept: String,
}

impl Key {
    fn new(session: &Session, staged: &str, key: &[String]) -> Self {
        let quoted: Vec<_> = key.iter().map(|column| session.dialect().quote(column)).collect();
        let same: Vec<_> = quoted.iter().map(|column| format!("s.{column} = f.{column}")).collect();
        Self {
            matched: format!("EXISTS (SELECT 1 FROM {staged} AS s WHERE {})", same.join(" AND ")),
            kept: format!("SELECT max(\"{SEQUENCE}\") FROM {staged} GROUP BY {}", quoted.join(", ")),
        }
    }
}

impl Plan {
    fn delete(&self, root: &ChainTable<'_>, table: &ChainTable<'_>) -> Option<String> {
        match self {
            Self::Append => None,
            Self::Replace => Some(format!("DELETE FROM {}", table.last)),
            Self::Merge(key) if table.known.parent.is_none() => {
                Some(format!("DELETE FROM {} AS f WHERE {}", table.last, key.matched))
            }
            Self::Merge(key) => Some(format!(
                "DELETE FROM {} WHERE \"_dlt_root_id\" IN (SELECT f.\"_dlt_id\" FROM {} AS f WHERE {})",
                table.last, root.last, key.matched
            )),
        }
    }

    fn insert(&self, session: &Session, root: &ChainTable<'_>, table: &ChainTable<'_>) -> Option<String> {
        let staged = table.staged.as_ref()?;
        let columns: Vec<_> = table
            .columns
            .iter()
            .filter(|column| column.name != SEQUENCE)
            .map(|column| session.dialect().quote(&column.name))
            .collect();
        let columns = columns.join(", ");
        let condition = match self {
            Self::Append | Self::Replace => String::new(),
            Self::Merge(key) if table.known.parent.is_none() => format!(" WHERE \"{SEQUENCE}\" IN ({})", key.kept),
            // A record may bring its own `_dlt_id`, and come twice: then its children have come twice under the same ids.
            Self::Merge(key) => format!(
                " WHERE \"_dlt_root_id\" IN (SELECT \"_dlt_id\" FROM {} WHERE \"{SEQUENCE}\" IN ({})) \
                 AND \"{SEQUENCE}\" IN (SELECT max(\"{SEQUENCE}\") FROM {staged} GROUP BY \"_dlt_id\")",
                root.staged.as_ref()?,
                key.kept
            ),
        };
        Some(format!("INSERT INTO {} ({columns}) SELECT {columns} FROM {staged}{condition}", table.last))
    }
}
