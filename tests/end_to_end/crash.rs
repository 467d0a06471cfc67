//! Runs that are cut off: the next one makes good.

use mock_api::{Collection, MockApi, Options};

use crate::{
    dice::Dice,
    setting::{SHIPPED, Setting},
    tables::Tables,
};

/// 5,000 records.
fn options() -> Options {
    Options {
        apps: 8,
        datasets: 104,
        models: 4,
        versions: 3,
        workflows: 50,
        inputs: 300,
        jobs: 44,
        concepts: 110,
        latency_ms: 5,
        ..Options::default()
    }
}

fn records(api: &MockApi) -> u64 {
    api.expected().resources.values().sum()
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_made_good_by_the_next() {
    const SEED: u64 = 0x5eed_5b11;
    let whole = Setting::new(options());
    assert_eq!(records(&whole.api), 5000);
    // Each page takes a request; those that are made on a chance come on top, in one run more of them than in another.
    let requests = whole.run(SHIPPED).succeeds().summary().of_all("pages");
    let expected = whole.tables();
    expected.assert_equal(&Tables::of_api(&whole.api));

    let mut dice = Dice(SEED);
    for nth in 1..=10 {
        let setting = Setting::new(options());
        // The moment is a request; or, one time in ten, the end of the last answer, when the tables are about to change. With
        // a window of one that is the last page's.
        let (moment, window) = if nth == 10 { (requests + 1, "1") } else { (dice.roll(requests), "8") };
        println!("seed {SEED:#x}: killed at request {moment} of {requests}");
        let call = setting.run(SHIPPED).with(["--window", window]);
        let running = setting.wait_until(call.start(), |stats| match moment {
            within if within <= requests => stats.total >= within,
            _ => stats.by_status.values().sum::<u64>() == requests,
        });
        running.signal(libc::SIGKILL);
        running.end().ended_with(-libc::SIGKILL);
        setting.run(SHIPPED).succeeds();
        setting.tables().assert_equal(&expected);
    }
}

#[test]
fn an_interrupted_run_ends_cleanly_and_the_next_one_goes_on_even_if_that_one_is_killed() {
    let setting = Setting::new(Options { latency_ms: 20, ..options() });
    let first_page = format!("{}?page=1&per_page=20", setting.api.paths(Collection::Applications)[0]);
    let cut_off = |requests, signal| {
        setting.api.reset_stats();
        let running = setting.wait_until(setting.run(SHIPPED).start(), |stats| stats.total >= requests);
        running.signal(signal);
        let outcome = running.end();
        assert!(setting.tables().counts().is_empty());
        (outcome, setting.api.stats().by_target.contains_key(&first_page))
    };
    // So many requests take 300 ms at least, eight at a time: rows were handed over by then.
    let (outcome, from_the_beginning) = cut_off(120, libc::SIGINT);
    let outcome = outcome.ended_with(130).says(&["interrupted", "the next run goes on"]);
    assert!(outcome.stdout.is_empty() && from_the_beginning);
    // What was read is not read again.
    let (outcome, from_the_beginning) = cut_off(40, libc::SIGKILL);
    outcome.ended_with(-libc::SIGKILL);
    assert!(!from_the_beginning);

    for from_the_beginning in [false, true] {
        setting.api.reset_stats();
        let summary = setting.run(SHIPPED).succeeds().summary();
        assert_eq!(summary.0["resumed"], !from_the_beginning);
        assert_eq!(setting.api.stats().by_target.contains_key(&first_page), from_the_beginning);
        setting.tables().assert_equal(&Tables::of_api(&setting.api));
    }
}
