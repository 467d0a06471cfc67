//! Names that are too long for the database are shortened as dlt does it: the middle gives way to a tag of the whole name.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use sha3::{
    Shake128,
    digest::{ExtendableOutput, Update, XofReader},
};
use std::sync::Arc;

use super::{Batch, Duplicates, Options, Strategy, WriteDisposition};
use crate::{
    destination::dialect::{Dialect, STAGING},
    error::{Class, Error, Result},
};

/// Shortens the names of a run's tables and of the columns that it is told of.
///
/// # Errors
/// [`Class::Config`] where the dataset's own name is too long.
pub(super) fn fit_options(options: &mut Options, dialect: &dyn Dialect) -> Result<()> {
    let Some(longest) = dialect.longest_identifier() else { return Ok(()) };
    let staging = options.dataset.len() + STAGING.len();
    if staging > longest {
        let at_most = longest.saturating_sub(staging.saturating_sub(options.dataset.len()));
        return Err(Error::new(
            Class::Config,
            format!("the name of the dataset is too long for {}", dialect.database()),
        )
        .fact("dataset", &options.dataset)
        .advice(format!("give it a name of at most {at_most} bytes: `dataset` in the file, or --dataset")));
    }
    for plan in &mut options.resources {
        fit(&mut plan.table, longest);
        plan.primary_key.iter_mut().for_each(|column| fit(column, longest));
        let WriteDisposition::Merge(merge) = &mut plan.write_disposition else { continue };
        let sorted = match &mut merge.duplicates {
            Duplicates::KeepSmallest(column) | Duplicates::KeepLargest(column) => Some(column),
            Duplicates::KeepLast | Duplicates::KeepAll => None,
        };
        let of_strategy: Vec<&mut String> = match &mut merge.strategy {
            Strategy::DeleteInsert { merge_key } => merge_key.iter_mut().collect(),
            Strategy::Upsert | Strategy::InsertOnly => Vec::new(),
            Strategy::Scd2(scd2) => {
                let columns = [&mut scd2.valid_from, &mut scd2.valid_to, &mut scd2.row_version];
                columns.into_iter().chain(&mut scd2.merge_key).collect()
            }
        };
        sorted.into_iter().chain(&mut merge.hard_delete).chain(of_strategy).for_each(|column| fit(column, longest));
    }
    Ok(())
}

/// Shortens the names of a batch's tables and columns.
pub(super) fn fit_batch(batch: &mut Batch, dialect: &dyn Dialect) {
    let Some(longest) = dialect.longest_identifier() else { return };
    for rows in &mut batch.tables {
        fit(&mut rows.table, longest);
        rows.parent.iter_mut().for_each(|parent| fit(parent, longest));
        let declared = rows.new_columns.iter_mut().chain(&mut rows.widened_columns);
        declared.for_each(|column| fit(&mut column.name, longest));
        let schema = rows.rows.schema();
        if schema.fields().iter().all(|field| field.name().len() <= longest) {
            continue;
        }
        let fields = schema.fields().iter().map(|field| {
            let mut name = field.name().clone();
            fit(&mut name, longest);
            field.as_ref().clone().with_name(name)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        // Only names differ, so the columns fit.
        if let Ok(renamed) = RecordBatch::try_new(schema, rows.rows.columns().to_vec()) {
            rows.rows = renamed;
        }
    }
}

/// Shortens a name to so many bytes. The rule, with its tag of six characters: dlt's `shorten_identifier`.
fn fit(name: &mut String, longest: usize) {
    const TAG: usize = 6;
    if name.len() <= longest {
        return;
    }
    let mut hash = [0; 4];
    let mut shake = Shake128::default();
    shake.update(name.as_bytes());
    shake.finalize_xof().read(&mut hash);
    let tag = STANDARD_NO_PAD.encode(hash).replace('/', "a").replace('+', "b").to_lowercase();
    let kept = longest.saturating_sub(TAG);
    let first = name.floor_char_boundary(kept.div_ceil(2));
    let last = name.ceil_char_boundary(name.len() - kept / 2);
    *name = [name.get(..first).unwrap_or_default(), &tag, name.get(last..).unwrap_or_default()].concat();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(name: &str, longest: usize) -> String {
        let mut name = name.to_owned();
        fit(&mut name, longest);
        name
    }

    #[test]
    fn the_middle_gives_way_to_a_tag() {
        assert_eq!(fitted("abcdefghijklmnopqrstuvwxyz", 20), "abcdefglhyrnatuvwxyz");
        assert_eq!(fitted("abcdefghijklmnopqrstuvwxyz", 26), "abcdefghijklmnopqrstuvwxyz");
        let (one, other) = (fitted(&"x".repeat(99), 63), fitted(&"x".repeat(98), 63));
        assert_eq!((one.len(), other.len()), (63, 63));
        assert_ne!(one, other);
        // Never within a character, never longer.
        assert!(fitted(&"日本".repeat(20), 63).len() <= 63);
    }
}
