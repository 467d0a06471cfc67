//! Parquet files, compared with a database that the same source was read into.

use std::fs;

use arrow_array::cast::AsArray;
use mock_api::Options;
use spile_host::destination::query;

use crate::setting::{DATASET, SHIPPED, Setting};

/// All texts of the first column of a result.
fn texts(setting: &Setting, sql: &str) -> Vec<String> {
    let batches = query(&setting.target(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let texts = batches.iter().flat_map(|rows| rows.column(0).as_string::<i32>().iter().flatten());
    texts.map(str::to_owned).collect()
}

/// Each table has the same rows in the files as in the database, but for the ids that each load gives anew.
fn assert_same(setting: &Setting) {
    let tables = setting.api.expected().tables;
    assert!(tables.len() > 8, "{tables:?}");
    for (table, rows) in tables {
        let columns = texts(
            setting,
            &format!(
                "SELECT string_agg(', \"' || column_name || '\"', '') FROM duckdb_columns() \
                 WHERE schema_name = '{DATASET}' AND table_name = '{table}' AND NOT starts_with(column_name, '_dlt')"
            ),
        );
        let (columns, folder) = (columns.concat(), setting.folder().join("out").join(DATASET).join(&table));
        let files =
            format!("SELECT 0{columns} FROM read_parquet('{}/*.parquet', union_by_name = true)", folder.display());
        let database = format!("SELECT 0{columns} FROM {DATASET}.{table}");
        let counts = format!(
            "SELECT concat_ws(' ', (SELECT count(*) FROM ({files})), (SELECT count(*) FROM ({files} EXCEPT ALL {database})), \
             (SELECT count(*) FROM ({database} EXCEPT ALL {files})))"
        );
        assert_eq!(texts(setting, &counts), [format!("{rows} 0 0")], "{table}");
    }
}

#[test]
fn parquet_files_get_every_record() {
    let setting = Setting::new(Options { apps: 3, inputs: 25, datasets: 12, latency_ms: 5, ..Options::default() });
    let shipped = fs::read_to_string(SHIPPED).unwrap();
    let file =
        setting.file("platform.yaml", &shipped.replace("write_disposition: merge", "write_disposition: replace"));
    setting.run(&file).succeeds();
    let run = || setting.call("run", &file).with(["--to", "parquet:out", "--dataset", DATASET, "--summary", "json"]);
    for _ in 0..2 {
        let total = run().succeeds().summary().of_tables("total");
        assert_eq!(total.iter().filter(|(_, rows)| *rows > 0).count(), setting.api.expected().tables.len());
        assert_same(&setting);
    }
    setting.api.reset_stats();
    let running = setting.wait_until(run().start(), |stats| stats.total >= 20);
    running.signal(libc::SIGKILL);
    running.end().ended_with(-libc::SIGKILL);
    assert_same(&setting);
    run().succeeds();
    assert_same(&setting);
}
