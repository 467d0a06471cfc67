//! Into Parquet files, one a table, compressed as Spile's are.

use crate::columns::Rows;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::Receiver;

/// The most rows of a row group, as Spile has it.
const ROW_GROUP: usize = 122_880;

/// Writes all that comes to `TABLE/0.parquet` in the folder.
pub fn write(folder: &Path, receiver: Receiver<Rows>) {
    let mut tables: BTreeMap<&str, ArrowWriter<File>> = BTreeMap::new();
    for Rows { table, batch } in receiver {
        let writer = tables.entry(table).or_insert_with(|| {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_max_row_group_row_count(Some(ROW_GROUP))
                .build();
            fs::create_dir_all(folder.join(table)).unwrap();
            let file = File::create(folder.join(table).join("0.parquet")).unwrap();
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    for mut writer in tables.into_values() {
        writer.finish().unwrap();
        writer.inner().sync_all().unwrap();
    }
}
