//! What a person changed in the final tables since the last run: it is told, and not changed back.

use super::package::KnownTable;
use crate::{
    destination::{DataType, StoredColumn, dialect::Dialect},
    error::{Class, Error, Result},
};

/// Compares a table with what the last run left. `stored` are its columns now, `None` where it is gone; `staged` those of the rows
/// that are to go there. Gives things to tell a person.
///
/// # Errors
/// [`Class::Destination`] where a column was given a type that does not hold all values that come.
pub(super) fn check(
    known: &KnownTable,
    stored: Option<&[StoredColumn]>,
    staged: &[StoredColumn],
    dialect: &dyn Dialect,
) -> Result<Vec<String>> {
    let table = &known.table;
    let Some(stored) = stored else {
        let is_gone = !known.columns.is_empty();
        return Ok(is_gone
            .then(|| format!("the table `{table}` was there and is gone: it begins anew with the rows of this run"))
            .into_iter()
            .collect());
    };
    let mut told = Vec::new();
    for (name, left) in &known.columns {
        let Some(coming) = staged.iter().find(|column| column.name == *name) else { continue };
        let Some(column) = stored.iter().find(|column| column.name == *name) else {
            let renamed =
                stored.iter().find(|other| !known.columns.contains_key(&other.name) && other.declared == *left);
            let perhaps = renamed.map(|other| format!(" (is it `{}` now?)", other.name)).unwrap_or_default();
            told.push(format!(
                "the column `{name}` of the table `{table}` was there and is gone{perhaps}: it is created again, without a value in the rows that are there"
            ));
            continue;
        };
        if column.declared == *left {
            continue;
        }
        let (from, to) = (dialect.data_type(&coming.declared), dialect.data_type(&column.declared));
        let holds_all =
            to == Some(DataType::Text) || from.zip(to).is_some_and(|(from, to)| from == to || from.widens_to(to));
        if !holds_all {
            return Err(Error::new(
                Class::Destination,
                format!("a column of the table `{table}` was given a type that does not hold all values that come"),
            )
            .fact("column", name)
            .fact("type now", &column.declared)
            .fact("type as the last run left it", left)
            .advice("give the column its type back, or rename it: nothing was published, and the next run goes on with the staged rows"));
        }
        told.push(format!(
            "the column `{name}` of the table `{table}` was {left} and is {} now: values are converted",
            column.declared
        ));
    }
    Ok(told)
}
