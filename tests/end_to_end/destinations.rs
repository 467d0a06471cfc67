//! Other databases than DuckDB.

use mock_api::{Collection, Options, RetryAfter};
use spile_host::destination::Target;

use crate::{
    server,
    setting::{DATASET, SHIPPED, Setting},
    tables::Tables,
};

fn options() -> Options {
    Options { apps: 3, inputs: 25, datasets: 12, latency_ms: 5, ..Options::default() }
}

/// A run, another one over it, and one that is killed on the way and made good.
fn loads_every_record(setting: &Setting, target: &str, at: &Target) {
    let expected = Tables::of_api(&setting.api);
    for _ in 0..2 {
        setting.run_into(target, SHIPPED).succeeds();
        Tables::of_database(at, DATASET).assert_equal(&expected);
    }
    setting.api.reset_stats();
    let running = setting.wait_until(setting.run_into(target, SHIPPED).start(), |stats| stats.total >= 20);
    running.signal(libc::SIGKILL);
    running.end().ended_with(-libc::SIGKILL);
    Tables::of_database(at, DATASET).assert_equal(&expected);
    setting.run_into(target, SHIPPED).succeeds();
    Tables::of_database(at, DATASET).assert_equal(&expected);
}

#[test]
fn postgresql_gets_every_record() {
    let address = server::new_database();
    loads_every_record(&Setting::new(options()), &address, &Target::parse(&address).unwrap());
}

#[test]
fn sqlite_gets_every_record() {
    let setting = Setting::new(options());
    let path = setting.folder().join("out.sqlite");
    loads_every_record(&setting, "sqlite:out.sqlite", &Target::Sqlite { path });
}

#[test]
fn a_driver_that_is_missing_is_told_though_the_api_asks_to_wait() {
    let retry_after = Some(RetryAfter::Seconds(3600));
    let setting = Setting::new(Options { too_many_every: 1, retry_after, ..options() });
    for target in ["duckdb:out.duckdb", "sqlite:out.sqlite"] {
        setting
            .run_into(target, SHIPPED)
            .env("SPILE_ADBC_DUCKDB", "/nowhere/libduckdb.so")
            .env("SPILE_ADBC_SQLITE", "/nowhere/libsqlite.so")
            .outcome()
            .ended_with(5)
            .says(&["the driver that SPILE_ADBC_", "names cannot be loaded", "/nowhere/lib"])
            .never_says("could not be kept");
    }
    assert!(!setting.folder().join("out.duckdb").exists());
}

#[test]
fn a_server_that_cannot_be_reached_is_named_without_its_password() {
    let setting = Setting::new(options());
    let nobody = "postgresql://me:s3cr%40t@127.0.0.1:9/x";
    setting
        .run_into(nobody, SHIPPED)
        .outcome()
        .ended_with(5)
        .says(&["the database cannot be reached", "postgresql://me:***@127.0.0.1:9/x", "Connection refused"])
        .never_says("s3cr");
    let address = server::new_database().replace("spile@", "nobody:s3cret@");
    setting
        .run_into(&address, SHIPPED)
        .outcome()
        .ended_with(5)
        .says(&["the database cannot be reached", "role \"nobody\" does not exist"])
        .never_says("s3cret");
    let first = setting.api.paths(Collection::Applications)[0].clone();
    assert!(!setting.api.stats().by_target.keys().any(|target| target.starts_with(&first)));
}
