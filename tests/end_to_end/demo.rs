//! Eight resources, read once and again.

use std::collections::BTreeMap;

use mock_api::{Collection, Options};

use crate::{
    program::{Call, Summary},
    setting::{AS_GIVEN, SHIPPED, Setting},
    tables::Tables,
};

/// More than a page of most collections, and a user whose name must be percent-encoded.
fn options() -> Options {
    Options { apps: 23, inputs: 25, datasets: 102, user: "a/b ü".to_owned(), ..Options::default() }
}

/// What the summary says of rows and tables, against the API and the database.
fn check(summary: &Summary, setting: &Setting) {
    let expected = setting.api.expected();
    for collection in Collection::ALL {
        let resource = collection.resource();
        assert_eq!(summary.of_resource(resource, "rows"), expected.resources[resource], "{resource}");
    }
    assert_eq!(summary.of_all("requests"), setting.api.stats().total);
    let totals = summary.of_tables("total").into_iter().filter(|(_, rows)| *rows > 0);
    assert_eq!(totals.collect::<BTreeMap<_, _>>(), expected.tables);
}

#[test]
fn the_shipped_connector_loads_every_record() {
    let setting = Setting::new(options());
    let summary = setting.run(SHIPPED).succeeds().summary();
    check(&summary, &setting);
    let tables = setting.tables();
    assert_eq!(tables.counts(), setting.api.expected().tables);
    tables.assert_equal(&Tables::of_api(&setting.api));
    assert_eq!(summary.of_all("retries"), 0);
    assert_eq!(summary.0["warnings"], serde_json::json!([]));
}

#[test]
fn the_connector_loads_as_it_was_given() {
    let setting = Setting::new(options());
    let file = setting.file("ai-platform.json", AS_GIVEN);
    let summary = setting.run_bound(file).succeeds().summary();
    check(&summary, &setting);
    setting.tables().assert_equal(&Tables::of_api(&setting.api));
    // Each chain ends with an empty page, which the API serves as any other.
    let paths = Collection::ALL.map(|collection| setting.api.paths(collection).len() as u64);
    let full = |records: u64, size: u64| records.div_ceil(size);
    let pages: u64 = Collection::ALL
        .into_iter()
        .zip(&paths)
        .map(|(collection, paths)| {
            let size = match collection {
                Collection::Datasets | Collection::Models | Collection::ModelVersions | Collection::Workflows => 100,
                _ => 20,
            };
            *paths * (full(collection.count(&options()), size) + 1)
        })
        .sum();
    assert_eq!(summary.of_all("pages"), pages);
    // Of a chain whose length is not known one page may be asked for beyond its end.
    let chains: u64 = paths.iter().sum();
    let total = setting.api.stats().total;
    assert!((pages..=pages + chains).contains(&total), "{total} requests for {pages} pages");

    // With a window of one no page is asked for before the one before it is here.
    setting.api.reset_stats();
    let file = setting.folder().join("ai-platform.json");
    setting.run_bound(file).with(["--window", "1"]).succeeds();
    assert_eq!(setting.api.stats().total, pages);
}

#[test]
fn an_imported_python_file_loads_the_same() {
    let setting = Setting::new(options());
    let imported = setting.folder().join("imported.yaml");
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/cases/ai_platform/source.py");
    Call::new(setting.folder(), &["import", python, "--output"]).with([&imported]).succeeds();
    let summary = setting.run_bound(&imported).succeeds().summary();
    check(&summary, &setting);
    setting.tables().assert_equal(&Tables::of_api(&setting.api));
}

#[test]
fn further_runs_change_nothing_but_what_changed() {
    let setting = Setting::new(Options { apps: 4, ..Options::default() });
    let summaries: Vec<Summary> = (0..3).map(|_| setting.run(SHIPPED).succeeds().summary()).collect();
    let before = setting.tables();
    before.assert_equal(&Tables::of_api(&setting.api));
    for again in &summaries[1..] {
        assert_eq!(again.of_tables("total"), summaries[0].of_tables("total"));
        assert_eq!(again.of_tables("inserted"), again.of_tables("deleted"));
        assert_ne!(again.0["load_id"], summaries[0].0["load_id"]);
    }

    setting.api.set_options(Options { revision: 1, ..setting.api.options() });
    let after = Tables::of_api(&setting.api);
    assert!(before.counts() != after.counts() && before != after);
    let summary = setting.run(SHIPPED).succeeds().summary();
    setting.tables().assert_equal(&after);
    assert_eq!(
        summary.of_tables("total").into_iter().filter(|(_, rows)| *rows > 0).collect::<BTreeMap<_, _>>(),
        after.counts()
    );
}

#[test]
fn a_run_of_some_resources_reads_what_they_depend_on_and_delivers_only_them() {
    let setting = Setting::new(Options::default());
    setting.run(SHIPPED).with(["--resource", "model_versions"]).succeeds();
    setting.tables().assert_equal(&Tables::of_api(&setting.api).of_resource("model_versions"));
    let asked = setting.api.stats().by_target;
    assert!(!asked.keys().any(|target| target.contains("/datasets")), "{asked:?}");
}

#[test]
fn destination_and_dataset_are_named_after_the_pipeline() {
    let setting = Setting::new(Options { apps: 1, ..Options::default() });
    let file = setting.file("tap.json", AS_GIVEN);
    setting
        .call("run", &file)
        .with(["--bind", "app_id=applications.id", "--bind", "model_id=models.id", "--resource", "applications"])
        .succeeds();
    let target = spile_host::destination::Target::DuckDb { path: setting.folder().join("tap.duckdb") };
    Tables::of_database(&target, "tap_dataset").assert_equal(&Tables::of_api(&setting.api).of_resource("applications"));
}

#[test]
fn a_person_sees_a_table_and_a_pipeline_what_it_would_read() {
    let setting = Setting::new(Options::default());
    let out = setting.call("run", SHIPPED).succeeds();
    for (table, rows) in setting.api.expected().tables {
        let line = out.stdout.lines().find(|line| line.split_whitespace().any(|word| word == table));
        let line = line.unwrap_or_else(|| panic!("{table} is missing in:\n{}", out.stdout));
        assert!(line.split_whitespace().any(|word| word == rows.to_string()), "{line}");
    }
    // No escape sequence where no terminal is.
    assert!(!out.stdout.contains('\x1b') && !out.stderr.contains('\x1b'), "{out:?}");

    setting.api.reset_stats();
    let described = setting.call("describe", SHIPPED).succeeds();
    assert!(Collection::ALL.iter().all(|collection| described.stdout.contains(collection.resource())), "{described:?}");
    assert_eq!(setting.api.stats().total, 0);

    setting.call("check", SHIPPED).succeeds();
    assert_eq!(setting.api.stats().total, 1);

    let shown = setting.call("preview", SHIPPED).with(["applications", "--rows", "2"]).succeeds();
    let ids: Vec<_> =
        setting.api.records(Collection::Applications).iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
    assert!(shown.stdout.contains(&ids[0]) && shown.stdout.contains(&ids[1]), "{shown:?}");
    assert!(!shown.stdout.contains(&ids[2]), "{shown:?}");
}
