//! An API that refuses, fails and breaks off.

use mock_api::{Collection, Options, RetryAfter};

use crate::{
    setting::{AS_GIVEN, SHIPPED, Setting},
    tables::Tables,
};

/// With a window of one every failure is followed by a repetition; with a larger one, not that of a page which was asked for on
/// a chance and did not follow.
fn is_retried(retries: u64, failures: u64, window: &str) -> bool {
    retries == failures || (window != "1" && retries < failures)
}

#[test]
fn every_seventh_request_refused_gives_the_same_tables() {
    for (retry_after, window) in [(RetryAfter::Seconds(0), "1"), (RetryAfter::Date(0), "8")] {
        let retry_after = Some(retry_after);
        let setting = Setting::new(Options { too_many_every: 7, retry_after, ..Options::default() });
        let summary = setting.run(SHIPPED).with(["--window", window]).succeeds().summary();
        setting.tables().assert_equal(&Tables::of_api(&setting.api));
        let stats = setting.api.stats();
        assert_eq!(summary.of_all("requests"), stats.total);
        let (retries, refused) = (summary.of_all("retries"), stats.by_status[&429]);
        assert!(is_retried(retries, refused, window), "{retries} of {refused} with window {window}");
        // A refusal that is due when only repetitions are left finds no request to hit.
        assert!((stats.total / 7).abs_diff(stats.by_status[&429]) <= 1, "{stats:?}");
    }
}

#[test]
fn waits_are_shown_and_counted() {
    // With a window of one, nothing is asked for on a chance: a refusal leaves nothing to do but to wait, and is followed by a repetition.
    let retry_after = Some(RetryAfter::Seconds(1));
    let setting = Setting::new(Options { apps: 1, too_many_every: 5, retry_after, ..Options::default() });
    let outcome = setting.run(SHIPPED).with(["--window", "1"]).succeeds().says(&[" waits 1.0 s: ", "status 429"]);
    setting.tables().assert_equal(&Tables::of_api(&setting.api));
    let (summary, stats) = (outcome.summary(), setting.api.stats());
    let refused = stats.by_status[&429];
    assert!(refused > 1);
    assert_eq!((summary.of_all("waits"), summary.of_all("retries")), (refused, refused));
    // One wait is no longer than the API asks for.
    let waited = summary.of_all("waited_ms");
    assert!(waited > refused * 500 && waited <= refused * 1000, "{waited} ms");
}

#[test]
fn refused_for_ever_ends_the_run_and_shows_nothing_of_it() {
    let refusing = Some(Collection::AppConcepts);
    let retry_after = Some(RetryAfter::Seconds(0));
    let setting = Setting::new(Options { too_many_forever: refusing, retry_after, ..Options::default() });
    // The API's own spelling encodes more than is needed.
    let path = setting.api.paths(Collection::AppConcepts)[0].replace("%2D", "-");
    let page = format!("{path}?page=1&per_page=20");
    let url = format!("{}{page}", setting.api.base_url());
    let fail = || {
        setting.api.reset_stats();
        setting
            .run(SHIPPED)
            .outcome()
            .ended_with(4)
            .says(&["app_concepts", &url, "429"])
            .never_says(&setting.api.options().token)
    };
    let failed = fail();
    assert!(failed.stderr.lines().any(|line| line.contains("attempts") && line.contains('4')), "{}", failed.stderr);
    assert_eq!(failed.stdout, "");
    let asked = setting.api.stats().by_target;
    assert_eq!(asked[&page], 4, "{asked:?}");
    assert!(asked.values().all(|times| *times <= 4), "{asked:?}");
    assert!(setting.tables().counts().is_empty());

    // A second run goes on: what was read before the failure is not asked for again.
    fail();
    let asked = setting.api.stats().by_target;
    assert!(asked[&page] == 4 && !asked.keys().any(|target| target.contains("/apps?page=1&")), "{asked:?}");
    assert!(setting.tables().counts().is_empty());

    setting.api.set_options(Options { too_many_forever: None, ..setting.api.options() });
    setting.run(SHIPPED).succeeds();
    let tables = setting.tables();
    tables.assert_equal(&Tables::of_api(&setting.api));

    // Over tables that are there: they stay as they were.
    setting.api.set_options(Options { too_many_forever: refusing, revision: 1, ..setting.api.options() });
    fail();
    setting.tables().assert_equal(&tables);
    setting.api.set_options(Options { too_many_forever: None, ..setting.api.options() });
    setting.run(SHIPPED).succeeds();
    setting.tables().assert_equal(&Tables::of_api(&setting.api));
}

#[test]
fn server_errors_and_broken_bodies_are_tried_again() {
    let options = Options { too_many_every: 5, error_every: 7, truncate_every: 11, ..Options::default() };
    let setting = Setting::new(Options { retry_after: Some(RetryAfter::Seconds(0)), ..options });
    let file = setting.impatient();
    for window in ["1", "8"] {
        setting.api.reset_stats();
        let summary = setting.run_bound(&file).with(["--window", window]).succeeds().summary();
        setting.tables().assert_equal(&Tables::of_api(&setting.api));
        let stats = setting.api.stats();
        let failed = stats.by_status[&429] + stats.by_status[&500] + stats.truncated;
        assert!(stats.by_status[&500] > 0 && stats.truncated > 0, "{stats:?}");
        let retries = summary.of_all("retries");
        assert!(is_retried(retries, failed, window), "{retries} of {failed} with window {window}");
    }
}

#[test]
fn a_server_error_that_is_not_listed_ends_the_run_at_once() {
    // The shipped connector lists 429 alone.
    let setting = Setting::new(Options { error_every: 1, ..Options::default() });
    setting.run(SHIPPED).outcome().ended_with(4).says(&["applications", "500", "/apps?page=1"]);
    assert_eq!(setting.api.stats().total, 1);
}

#[test]
fn an_api_that_is_not_there_is_a_source_error() {
    let setting = Setting::new(Options::default());
    // The first port of all: nothing has been listening there for decades.
    let nowhere = "http://127.0.0.1:1";
    let file = setting.file("tap.json", &AS_GIVEN.replace("\"backoff_factor\": 2", "\"backoff_factor\": 0"));
    let call = setting.call_at(nowhere, "run", file).with(["--allow-private", nowhere, "--resource", "applications"]);
    call.outcome().ended_with(4).says(&["applications", "127.0.0.1:1/v2/users/acme/apps", "attempts: 4"]);
}
