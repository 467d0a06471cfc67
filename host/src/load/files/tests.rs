//! A publication that ends anywhere, and is finished by the next run, is the same as one that does not.

use std::{collections::BTreeMap, fs, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, StringArray};

use super::*;
use crate::load::TableRows;

fn options(disposition: WriteDisposition) -> Options {
    let plan = |name: &str| ResourcePlan {
        resource: name.to_owned(),
        table: name.to_owned(),
        write_disposition: disposition.clone(),
        primary_key: Vec::new(),
    };
    Options::new("p", "data", "digest", vec![plan("users"), plan("orders")])
}

/// Two rows of each table.
fn batch(state: &str) -> Batch {
    let ids = StringArray::from_iter_values(["a", "b"].map(|row| format!("{state}-{row}")));
    let rows = RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef)]).unwrap();
    let tables = ["users", "orders"].map(|name| TableRows {
        table: name.to_owned(),
        resource: name.to_owned(),
        parent: None,
        rows: rows.clone(),
        roots: Vec::new(),
        new_columns: Vec::new(),
        widened_columns: Vec::new(),
    });
    Batch { tables: tables.into(), state: state.to_owned(), schema: None, changes: Vec::new() }
}

/// A run of two commits whose publication is decided.
fn decided(directory: &Path, options: &Options) -> Files {
    let (mut files, mut staging, _) = Files::begin(directory, options).unwrap();
    for state in ["s1", "s2"] {
        staging.take(batch(state), options, None).unwrap();
        files.commit(options, &staging, staging.pending().unwrap()).unwrap();
        staging.committed();
    }
    files.decide(options, "end").unwrap();
    files
}

/// The files of each table with rows that are in its folder.
fn found(directory: &Path) -> BTreeMap<String, Vec<String>> {
    let names = |folder: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let data = directory.join("data");
    names(&data)
        .into_iter()
        .filter(|table| table != "_spile")
        .map(|table| (table.clone(), names(&data.join(table))))
        .collect()
}

#[test]
fn a_publication_is_finished_from_wherever_it_ended() {
    for (disposition, rows_of_both) in [(WriteDisposition::Append, 8), (WriteDisposition::Replace, 4)] {
        let options = options(disposition);
        let mut ends = 0..=0;
        while let Some(end) = ends.next() {
            let directory = tempfile::tempdir().unwrap();
            decided(directory.path(), &options).finish().unwrap();
            let files = decided(directory.path(), &options);
            let moves = files.manifest.moves().count();
            ends = end + 1..=moves;
            let before = found(directory.path());
            files.manifest.moves().take(end).for_each(|step| files.carry_out(step).unwrap());
            // Readers miss no rows: of each table all files are there that it had, or all that it is to have.
            let between = found(directory.path());
            for table in files.manifest.all() {
                let there = &between[&table.table];
                let new = table.files.iter().all(|file| there.contains(&file.name));
                assert!(new || before[&table.table].iter().all(|name| there.contains(name)), "after {end} of {moves}");
            }
            drop(files);

            let (files, _, resumed) = Files::begin(directory.path(), &options).unwrap();
            assert_eq!((resumed.state.as_deref(), resumed.interrupted), (Some("end"), None));
            let named = files.manifest.all().map(|table| {
                let mut names: Vec<_> = table.files.iter().map(|file| file.name.clone()).collect();
                names.sort();
                (table.table.clone(), names)
            });
            assert_eq!(found(directory.path()), named.collect(), "after {end} of {moves}");
            let counts: Vec<_> = files.manifest.all().map(|table| rows(&table.files)).collect();
            assert_eq!(counts, [rows_of_both, rows_of_both, 2]);
            assert!(!directory.path().join("data/_spile/p/staging/users").exists());
        }
    }
}
